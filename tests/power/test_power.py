"""What a plan could decide is what the claims' rules decide; without a variance there is no number."""

import shutil
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy import stats

from tests.figures.rates import SEEDS, compared, differing
from tests.figures.synthetic import SyntheticExperiment
from tests.workflow.project import ROOT
from unix_lib.artefacts.files import write_json
from unix_lib.commands.power import PowerError, _cells, run
from unix_lib.config import load_experiment
from unix_lib.figures import score_comparison
from unix_lib.figures.architecture_claims import score_claim
from unix_lib.figures.evidence import POWER, Difference, Spread, detectable, least_detectable
from unix_lib.figures.samples import final_samples
from unix_lib.figures.slopes import slope_over
from unix_lib.power.chances import Known, chances
from unix_lib.power.curves import OVER_DIFFERENCE, OVER_SEEDS, curve_table, draw_curves
from unix_lib.power.designs import designs_of
from unix_lib.power.finished import Finished, inputs_of
from unix_lib.power.forecast import MOST_SEEDS, PartForecast, forecast
from unix_lib.power.variances import SLOPE, TABLE, unit_of, variance_table, variances_of
from unix_lib.recipes.estimate import Estimates
from unix_lib.recipes.plan import Plan
from unix_lib.recipes.resolve import resolve
from unix_lib.recipes.workspace import PLANNED

PAIR = {"shared": "shared", "unix": "unix 2:1"}


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Three seeds of four architectures."""
    return resolve(load_experiment(ROOT / "config" / "laptop-seeds.yaml"), ROOT)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished experiment `done` of two architectures, and `planned` beside it, of which nothing ran."""
    folder = tmp_path_factory.mktemp("results")
    synthetic = SyntheticExperiment(folder / "done", architectures=PAIR, seeds=(1, 2, 3), steps=(0, 200), prompts=48)
    planned: dict[str, dict[str, str]] = {}
    for artefacts in synthetic.inputs.values():
        for artefact in artefacts:
            stage, _, name = artefact.partition("/")
            planned.setdefault(stage, {})[name.rpartition("-")[0]] = name.rpartition("-")[2]
    write_json(folder / "done" / PLANNED, planned)
    (folder / "planned").mkdir()
    return folder


@pytest.fixture(scope="module")
def parts(plan: Plan, results: Path) -> dict[tuple[str, str], PartForecast]:
    return parts_of(plan, results / "planned")


@pytest.fixture(scope="module")
def table(results: Path) -> pd.DataFrame:
    return variance_table(inputs_of(results / "done"))


def parts_of(plan: Plan, results: Path) -> dict[tuple[str, str], PartForecast]:
    found = forecast(plan, Finished.beside(results), Estimates(plan, results))
    return {(part.design.outcome, part.name): part for part in found}


def test_power_is_that_of_the_rule_of_scores() -> None:
    """Where runs differ, a difference that should be decided in 80% of experiments is, by the whole rule."""
    experiments = 25
    with mock.patch.object(score_comparison, "REPLICATES", 300):
        without = [compared(differing, np.random.default_rng([5, number])) for number in range(experiments)]
        spreads = pd.DataFrame([vars(each.difference.spread) for each in without])
        typical = Spread(**(spreads**2).mean().pow(0.5).to_dict())
        least = chances([Known(typical, SEEDS)], SEEDS, 1.0).least
        # Of what a run knows 0.9 shows in images and 0.6 in the two families of questions.
        advantage = least / float(np.mean([0.9, 0.6, 0.6]))
        found = [compared(differing, np.random.default_rng([6, number]), advantage) for number in range(experiments)]
    decided = np.mean([each.difference.low > 0 for each in found])
    assert abs(decided - POWER) < 3 * (POWER * (1 - POWER) / experiments) ** 0.5


def test_power_of_an_interval_over_seeds_is_that_of_the_noncentral_t() -> None:
    """`detectable` has the formula, of an interval that is nothing but the spread over seeds."""
    for seeds in (3, 5):
        simulated = chances([Known(Spread(1.0, 0.0), 3)], seeds, 1.0)
        assert simulated.least == pytest.approx(least_detectable(seeds**-0.5, seeds - 1), rel=0.06)
        assert simulated.power(simulated.least) == pytest.approx(POWER, abs=0.01)


def test_more_samples_help_by_the_square_root_where_they_are_what_varies() -> None:
    of_samples = [Known(Spread(0.0, 1.0), 0)]
    assert chances(of_samples, 0, 4.0).least == pytest.approx(chances(of_samples, 0, 1.0).least / 2)
    of_runs = [Known(Spread(1.0, 0.0), 3)]
    assert chances(of_runs, 3, 4.0).least == chances(of_runs, 3, 1.0).least
    # What each seed's own answers leave is part of how far seeds differ.
    own = [Known(Spread(1.0, 0.0, own=1.0), 3)]
    assert chances(own, 3, 4.0).least == pytest.approx(chances(own, 3, 1.0).least / 2, rel=0.02)


@pytest.mark.parametrize("prompts", [0.0, 1.0])
def test_power_of_a_slope_is_that_of_its_rule(prompts: float) -> None:
    """Four doses and three seeds, drawn around a line as steep as should be decided in 80% of experiments."""
    doses, seeds, experiments = np.array([-2.9, -0.7, 0.5, 1.1]), 3, 400
    rng = np.random.default_rng(8)

    def measured(slope: float, number: int) -> Difference:
        own = np.random.default_rng([9, number])
        of_prompts = prompts * own.normal(size=(4, 1))
        outcomes = slope * doses[:, None] + of_prompts + own.normal(size=(4, seeds))
        noise = np.repeat(prompts * rng.normal(size=(300, 4, 1)), seeds, axis=2)
        return slope_over(doses, outcomes, 50, noise)

    without = [measured(0.0, number) for number in range(50)]
    assert {each.spread.doses for each in without if each.spread} == {4}
    typical = Spread(**pd.DataFrame([vars(each.spread) for each in without]).pow(2).mean().pow(0.5).to_dict())
    least = chances([Known(typical, seeds)], seeds, 1.0).least
    decided = np.mean([measured(least, 1000 + number).low > 0 for number in range(experiments)])
    assert abs(decided - POWER) < 0.02 + 3 * (POWER * (1 - POWER) / experiments) ** 0.5
    more = chances([Known(typical, seeds)], 2 * seeds, 1.0).least
    formula = least_detectable(typical.runs / (2 * seeds) ** 0.5, len(doses) * 2 * seeds - 2)
    assert more < least and (prompts or more == pytest.approx(formula, rel=0.06))


def test_what_must_agree_takes_more_than_each() -> None:
    one = Known(Spread(1.0, 0.5), 3)
    assert chances([one, one], 3, 1.0).least > 1.05 * chances([one], 3, 1.0).least


def test_a_plan_is_reckoned_from_a_finished_experiment(
    parts: dict[tuple[str, str], PartForecast], results: Path
) -> None:
    assert {outcome for outcome, _ in parts} == {"1", "2", "3", "4"}
    for part in parts.values():
        assert part.variance is not None and part.planned is not None
        assert part.variance.origin.startswith(str(results / "done"))
        assert part.decides(part.planned.least) and not part.decides(part.default_target)
    shared = parts["4", "Uni-X 2:1 against Shared"]
    assert shared.design.seeds == 3
    (more,) = [each for each in shared.additions(shared.default_target) if each.samples == 1]
    assert more.seeds > 3 and more.cost.hours > 0
    assert shared.decides(shared.default_target, more.seeds)
    assert not shared.decides(shared.default_target, more.seeds - 1)


def test_no_fewer_seeds_decide_than_are_said(parts: dict[tuple[str, str], PartForecast]) -> None:
    """What is decided is simulated, and moves a little up and down over the seeds."""
    part = parts["4", "Uni-X 2:1 against Shared"]
    for share in np.linspace(0.35, 0.95, 20):
        target = share * part.planned.least if part.planned else np.nan
        said = [each.seeds for each in part.additions(target) if each.samples == 1]
        assert said == [seeds for seeds in range(3, MOST_SEEDS + 1) if part.decides(target, seeds)][:1]


def test_without_a_seed_that_both_have_nothing_is_decided(
    plan: Plan, results: Path, parts: dict[tuple[str, str], PartForecast]
) -> None:
    seeds = {"unix": 7, "unix-seed1": 8, "unix-seed2": 9}
    runs = {"train": {"runs": {name: {"seed": seed} for name, seed in seeds.items()}}}
    apart = resolve(load_experiment(ROOT / "config" / "laptop-seeds.yaml", overrides=runs), ROOT)
    found = parts_of(apart, results / "planned")["4", "Uni-X 2:1 against Shared"]
    assert parts["4", "Uni-X 2:1 against Shared"].design.seeds == 3 and found.design.seeds == 0
    assert found.variance is not None and found.planned is None and found.additions(1.0) == []
    cells = " ".join(_cells(found, None))
    assert "0 seeds" in cells and "nothing: no seed that all sides have" in cells
    assert not curve_table([found]).empty


def test_an_interval_without_training_is_that_of_its_claim(table: pd.DataFrame) -> None:
    """Claim 1 has Student's of its jackknife, claim 7 a normal one."""
    rows = table[table.outcome == "1"]
    of_claim = {claim: next(variances_of(rows.assign(outcome=claim), "x")).known[0].freedom for claim in ("1", "7")}
    assert of_claim == {"1": 19, "7": None}
    least = {one: chances([Known(Spread(0.0, 1.0), 0, one)], 0, 1.0).least for one in of_claim.values()}
    assert least[19] - least[None] == pytest.approx(stats.t.ppf(0.975, 19) - stats.norm.ppf(0.975))


def test_a_slope_over_fewer_doses_is_not_reckoned_from_one_over_more(tmp_path: Path) -> None:
    """How far apart they will be is not known before their entropy is."""
    outcome = f"{SLOPE}score difference"
    row = {"outcome": outcome, "part": "", "measure": "rule", "difference": 1.0, "n": 100, "seeds": 3}
    summary = tmp_path / "done" / "summary"
    summary.mkdir(parents=True)
    pd.DataFrame([row | vars(Spread(2.0, 0.1, doses=4))]).to_csv(summary / TABLE, index=False)
    finished = Finished.beside(tmp_path / "planned")
    assert finished.of(outcome, "", "", 4)[0] is not None
    variance, lacking = finished.of(outcome, "", "", 2)
    assert variance is None and lacking[0].endswith("over 4 doses, not 2")


def test_slopes_are_planned_where_there_are_doses() -> None:
    """One more seed is one more of both architectures at each dose."""
    plan = resolve(load_experiment(ROOT / "config" / "premise.yaml"), ROOT)
    slopes = {design.outcome: design for design in designs_of(plan) if design.outcome.startswith(SLOPE)}
    kinds = ("score difference", "conflict of the shared transformer", "conflict of Uni-X")
    assert {outcome.removeprefix(SLOPE) for outcome in slopes} == {
        *kinds, "loss difference, text", "loss difference, image",
    }  # fmt: skip
    score = slopes[f"{SLOPE}score difference"]
    assert score.seeds == 3 and score.doses == 4 and score.sampled == "prompts and questions"
    trained = {artefact.partition("/")[2].partition("-step")[0] for artefact in score.of_seeds if "train/" in artefact}
    assert trained == {
        f"{preset}-{dose}{seed}"
        for preset in ("shared", "unix") for dose in (0, 30, 60, 100) for seed in ("", "-seed1", "-seed2")
    }  # fmt: skip
    assert unit_of(score.outcome) == "points per bit"
    assert unit_of(f"{SLOPE}loss difference, text") == "thousandths of a nat per bit"
    assert unit_of(f"{SLOPE}conflict of Uni-X") == "per bit"


def test_what_git_keeps_says_the_same(
    plan: Plan, parts: dict[tuple[str, str], PartForecast], table: pd.DataFrame, tmp_path: Path
) -> None:
    assert set(table.outcome) >= {"1", "2", "3", "4", "held-out loss, text"}
    assert list(table[table.outcome == "3"].measure) == ["rule", "noise-corrected"]
    summary = tmp_path / "elsewhere" / "summary"
    summary.mkdir(parents=True)
    table.to_csv(summary / TABLE, index=False)
    (tmp_path / "planned").mkdir()
    there = parts_of(plan, tmp_path / "planned")
    assert parts.keys() == there.keys()
    for key, part in parts.items():
        other = there[key]
        assert part.planned is not None and other.planned is not None and other.variance is not None
        assert other.planned.least == pytest.approx(part.planned.least)
        assert other.variance.origin.startswith(str(tmp_path / "elsewhere"))


def test_what_was_measured_would_decide_about_as_much_again(table: pd.DataFrame, results: Path) -> None:
    """`outcomes` shows `detectable` of a finished experiment."""
    (row,) = table[table.outcome == "4"].itertuples()
    (finding,) = [each for each in score_claim(final_samples(inputs_of(results / "done"))) if each.claim == 4]
    assert finding.difference is not None
    again = chances([Known(Spread(row.runs, row.shared, row.own, row.least), 3)], 3, 1.0).least
    assert again == pytest.approx(detectable(finding.difference), rel=0.35)


def test_nothing_finished_gives_no_number(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "planned").mkdir()
    parts = parts_of(plan, tmp_path / "planned")
    assert parts and all(part.variance is None and part.planned is None for part in parts.values())
    assert all(part.additions(1.0) == [] for part in parts.values())
    curves = curve_table(list(parts.values()))
    assert curves.empty
    assert "no finished experiment" in draw_curves(curves).figure.axes[0].texts[0].get_text()


def test_one_seed_and_an_interval_of_conflict_are_lacking_something(plan: Plan, tmp_path: Path) -> None:
    summary = tmp_path / "one" / "summary"
    summary.mkdir(parents=True)
    rows = [
        '1,"n = 2, shapes",-3.8,-3.9,-3.7,100000,0,does not hold',
        "3,,0.1,-0.2,0.4,128,3,undecided",
        "4,Uni-X 2:1 against MoT,-2.7,-12.2,7.8,1153,1,undecided",
        "5,Uni-X 2:1 against MoT,7.7,6.9,8.3,1350,3,not measurable here",
    ]
    heading = "claim,part,difference,low,high,n,seeds,verdict"
    (summary / "claims.csv").write_text("\n".join([heading, *rows]) + "\n")
    (tmp_path / "planned").mkdir()
    parts = parts_of(plan, tmp_path / "planned")
    entropy, scores, conflict = (
        parts[key] for key in (("1", "n = 2, shapes"), ("4", "Uni-X 2:1 against MoT"), ("3", ""))
    )
    assert entropy.planned is not None and entropy.planned.least == pytest.approx(0.1 * 2.8 / 1.96, rel=0.05)
    assert scores.variance is None and "one seed says nothing of the spread" in scores.lacking[0]
    assert conflict.variance is None and "without the noise-corrected difference" in conflict.lacking[0]


def test_an_interval_over_seeds_is_taken_as_runs(plan: Plan, tmp_path: Path) -> None:
    summary = tmp_path / "three" / "summary"
    summary.mkdir(parents=True)
    rows = "claim,part,difference,low,high,n,seeds,verdict\n4,Uni-X 2:1 against MoT,-1,-5,3,1153,3,undecided\n"
    (summary / "claims.csv").write_text(rows)
    (tmp_path / "planned").mkdir()
    part = parts_of(plan, tmp_path / "planned")["4", "Uni-X 2:1 against MoT"]
    assert part.planned is not None and part.variance is not None and "taken as runs'" in part.variance.origin
    assert part.planned.least == pytest.approx(detectable(Difference(-1, -5, 3, 1153, 3)), rel=0.06)


WORDS = b"outcome,part,measure,difference,n,seeds,runs,shared,own,least\n4,x,rule,1,a,b,c,d,e,f\n"


@pytest.mark.parametrize("damage", [b"", b"outcome,part\n4,x\n", b"\xff\xfe\x00", WORDS])
def test_a_damaged_table_is_named_and_skipped(table: pd.DataFrame, tmp_path: Path, damage: bytes) -> None:
    for name in ("broken", "whole"):
        (tmp_path / name / "summary").mkdir(parents=True)
    table.to_csv(tmp_path / "whole" / "summary" / TABLE, index=False)
    path = tmp_path / "broken" / "summary" / TABLE
    path.write_bytes(damage)
    finished = Finished.beside(tmp_path / "planned")
    assert len(finished.skipped) == 1 and str(path) in finished.skipped[0]
    assert finished.of("4", "", "Uni-X 2:1 against MoT")[0] is not None


def test_a_damaged_artefact_is_named_and_skipped(results: Path, tmp_path: Path) -> None:
    shutil.copytree(results, tmp_path / "results")
    damaged = next((tmp_path / "results" / "done" / "analyze").glob("conflict-*/conflict.parquet"))
    damaged.write_bytes(b"damaged")
    finished = Finished.beside(tmp_path / "results" / "planned")
    assert len(finished.skipped) == 1 and "conflict" in finished.skipped[0]
    assert finished.of("4", "", "Uni-X 2:1 against MoT")[0] is None


def test_curves_rise_with_the_difference_and_fall_with_seeds(parts: dict[tuple[str, str], PartForecast]) -> None:
    curves = curve_table([parts["1", "n = 2, shapes"], parts["4", "Uni-X 2:1 against MoT"]])
    of_mot = curves[curves.part == "Uni-X 2:1 against MoT"]
    power = of_mot[of_mot.curve == OVER_DIFFERENCE].power
    assert power.is_monotonic_increasing and power.iloc[0] < 0.05 and power.iloc[-1] > 0.95
    assert of_mot[of_mot.curve == OVER_SEEDS].difference.is_monotonic_decreasing
    assert len(draw_curves(curves).figure.axes) == 4


@pytest.mark.parametrize("given", ["4", "4=", "4=nothing", "4=-1", "4=inf", "=2"])
def test_a_difference_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(PowerError, match="--decide"):
        run(Path("config/laptop-seeds.yaml"), [given], Console())
