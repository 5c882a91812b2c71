"""Dose and response: arms, gaps, slopes by hand, false positives, and what hangs by one request."""

import numpy as np
import pytest
from scipy import stats

from tests.figures.synthetic import SyntheticExperiment, drawn_figure
from unix_lib.figures import dose_outcomes
from unix_lib.figures.arms import arms_of
from unix_lib.figures.claims import findings
from unix_lib.figures.doses import Dose, conflict_slope, doses_of, loss_slope, score_slope
from unix_lib.figures.evidence import HOLDS, NOT_MEASURABLE
from unix_lib.figures.make import draw_figure
from unix_lib.figures.slopes import slope_over

BITS = {"easy": 3.0, "alike": 6.0, "hard": 9.0}  # bits / n at n = 2 are 1.5, 3 and 4.5; the prose has 3
GAPS = [-1.5, 0.0, 1.5]


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> SyntheticExperiment:
    """Uni-X gains with the dose, and so does the shared transformer's conflict; Uni-X's stays where it is."""
    names = {f"{preset}-{dose}": architecture for dose in BITS for preset, architecture in SIDES.items()}
    rising = dict(zip(BITS, (0.3, 0.5, 0.7), strict=True))
    return SyntheticExperiment(
        tmp_path_factory.mktemp("doses"),
        seeds=(1, 2),
        steps=(200,),
        architectures=names,
        skill={name: rising[name.split("-")[1]] if name.startswith("unix") else 0.3 for name in names},
        conflict={name: rising[name.split("-")[1]] / 4 if name.startswith("shared") else 0.1 for name in names},
        bits=BITS,
        mixtures={name: name.split("-")[1] for name in names},
        better={name: rising[name.split("-")[1]] / 10 for name in names if name.startswith("unix")},
        prompts=60,
    )


SIDES = {"shared": "shared", "unix": "unix 2:1"}


@pytest.fixture(scope="module")
def doses(experiment: SyntheticExperiment) -> list[Dose]:
    return doses_of(experiment.read_by("dose_response"))


@pytest.fixture(scope="module")
def one_mixture(tmp_path_factory: pytest.TempPathFactory) -> SyntheticExperiment:
    return SyntheticExperiment(tmp_path_factory.mktemp("one"), steps=(200,), architectures=SIDES, prompts=12)


def test_arms_are_the_compared_runs_by_mixture(experiment: SyntheticExperiment) -> None:
    arms = arms_of(experiment.read_by("claims"))
    assert [(arm.name, arm.images) for arm in arms] == [(name, {name}) for name in BITS]
    for arm in arms:
        runs = {arm.inputs.recipe(each).settings["run"] for each in arm.inputs.existing["evaluations"]}
        assert runs == {f"{preset}-{arm.name}-seed{seed}" for preset in SIDES for seed in (1, 2)}


def test_an_experiment_of_one_mixture_is_one_arm(one_mixture: SyntheticExperiment) -> None:
    inputs = one_mixture.read_by("claims")
    (arm,) = arms_of(inputs)
    assert (arm.name, arm.inputs) == ("", inputs)


def test_every_claim_has_a_verdict_at_each_dose(experiment: SyntheticExperiment) -> None:
    found = findings(experiment.read_by("claims"))
    entropy = {finding.part: finding.verdict for finding in found if finding.claim == 1 and "n = 2" in finding.part}
    assert entropy == {f"{name}, n = 2, {name}": verdict for name, verdict in zip(BITS, ENTROPY_VERDICTS, strict=True)}
    for claim in (2, 3, 4):
        assert {f.part.split(", ")[0] for f in found if f.claim == claim} == set(BITS)
    assert [(f.part, f.verdict) for f in found if f.claim == 7] == [("", NOT_MEASURABLE)]  # once, not at each


ENTROPY_VERDICTS = ("does not hold", "undecided", "holds")


def test_doses_have_the_gap_of_their_own_images(doses: list[Dose]) -> None:
    assert [dose.name for dose in doses] == list(BITS)
    assert [dose.gap.value for dose in doses if dose.gap] == pytest.approx(GAPS)
    assert [dose.coverage for dose in doses] == pytest.approx([0.9] * 3)
    for dose in doses:
        assert list(dose.conflict_by_seed("shared").index) == [1, 2]


def test_slopes_say_what_rises_with_the_dose(doses: list[Dose]) -> None:
    score, shared, unix = score_slope(doses), conflict_slope(doses, "shared"), conflict_slope(doses, "unix")
    assert score is not None and shared is not None and unix is not None
    assert score.seeds == 2 and 0 < score.low < score.value < score.high
    assert shared.low > 0
    assert unix.low < 0.02 and abs(unix.value) < shared.value / 4
    differences = np.array([100 * dose.comparison.by_seed for dose in doses if dose.comparison])
    assert score.value == pytest.approx(np.polyfit(np.repeat(GAPS, 2), differences.ravel(), 1)[0])


def test_losses_are_compared_within_each_dose(experiment: SyntheticExperiment, doses: list[Dose]) -> None:
    """Uni-X's advantage is 30, 50 and 70 thousandths of a nat at gaps 1.5 bits apart: 13.3 a bit."""
    for modality in ("text", "image"):
        found = [dose.losses[modality] for dose in doses_of(experiment.read_by("dose_outcomes"))]
        assert [1000 * loss.difference.value for loss in found] == pytest.approx([30, 50, 70], abs=1.5)
        slope = loss_slope(doses_of(experiment.read_by("dose_outcomes")), modality)
        assert slope is not None and slope.value == pytest.approx(20 / 1.5, abs=1)
        assert 0 < slope.low < slope.value < slope.high
    assert not doses[0].losses  # a figure that doesn't read them
    rows = draw_figure(experiment.read_by("outcomes"), drawn_figure("outcomes", "made up")).table
    assert set(rows.part) == {f"{name}, Uni-X 2:1 against Shared" for name in BITS} | set(BITS)
    rows = rows[(rows.outcome == "second") & (rows.measure == "held-out loss, image") & (rows.step == 400)]
    assert list(rows.difference) == pytest.approx([30, 50, 70], abs=1.5)


def test_the_figure_has_every_seed_and_every_dose(experiment: SyntheticExperiment) -> None:
    table = draw_figure(experiment.read_by("dose_response"), drawn_figure("dose_response", "made up")).table
    for outcome, sides in (("conflict", 2), ("score difference", 1)):
        rows = table[table.outcome == outcome]
        assert (rows[rows.seed.notna()].groupby("dose").size() == 2 * sides).all()
        means = rows[rows.seed.isna()]
        assert (means.groupby("dose").size() == sides).all()
        assert ((means.low < means.value) & (means.value < means.high)).all()
        assert sorted(set(means.gap)) == pytest.approx(GAPS)
    depth = table[table.outcome == "conflict over depth"]
    assert set(depth[depth.architecture == "shared"].layer) == {1, 2, 3, 4, 5, 6}
    assert set(depth[depth.architecture == "unix 2:1"].layer) == {3, 4, 5}


def test_the_table_leads_with_the_primary_outcome(experiment: SyntheticExperiment) -> None:
    table = draw_figure(experiment.read_by("dose_outcomes"), drawn_figure("dose_outcomes", "made up")).table
    first = table.iloc[0]
    assert (first.kind, first.outcome, first.verdict) == ("primary", "score difference, points per bit", HOLDS)


def test_a_gap_of_too_few_tokens_decides_nothing(
    experiment: SyntheticExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def verdicts() -> set[str]:
        table = draw_figure(experiment.read_by("dose_outcomes"), drawn_figure("dose_outcomes", "made up")).table
        return set(table[table.kind == "gap"].verdict)

    assert verdicts() == set(ENTROPY_VERDICTS)
    monkeypatch.setattr(dose_outcomes, "LEAST_COVERAGE", 0.95)
    assert verdicts() == {"undecided"}


def test_without_several_doses_there_is_no_primary_outcome(one_mixture: SyntheticExperiment) -> None:
    drawing = draw_figure(one_mixture.read_by("dose_outcomes"), drawn_figure("dose_outcomes", "one"))
    assert "primary" not in set(drawing.table.kind)
    texts = [text.get_text() for axes in drawing.figure.axes for text in axes.texts]
    assert texts.count(NOT_MEASURABLE) == 5


def test_a_slope_by_hand() -> None:
    """x = 0, 1, 2 with y = (0, 2), (1, 3), (5, 7): slope 2.5, squares about the line 7, 4 degrees of freedom."""
    found = slope_over(np.array([0.0, 1.0, 2.0]), np.array([[0.0, 2.0], [1.0, 3.0], [5.0, 7.0]]), 10)
    reach = 2.776445 * (9.0 / 4 / 4) ** 0.5
    assert found.value == pytest.approx(2.5)
    assert (found.low, found.high) == pytest.approx((2.5 - reach, 2.5 + reach), rel=1e-5)
    assert (found.n, found.seeds) == (10, 2)


def test_a_slope_agrees_with_a_regression_from_elsewhere() -> None:
    rng = np.random.default_rng(0)
    doses, outcomes = np.array([-3.0, -1.0, 0.5, 2.0]), rng.normal(size=(4, 3))
    known = stats.linregress(np.repeat(doses, 3), outcomes.ravel())
    found = slope_over(doses, outcomes, 1)
    assert found.value == pytest.approx(known.slope)
    assert found.high - found.value == pytest.approx(stats.t.ppf(0.975, 10) * known.stderr)


def test_prompts_widen_a_slope() -> None:
    rng = np.random.default_rng(0)
    doses, outcomes = np.array([-3.0, -1.0, 0.5, 2.0]), rng.normal(size=(4, 3))
    alone = slope_over(doses, outcomes, 1)
    shared = np.repeat(rng.normal(0, 2, (4000, 4, 1)), 3, axis=2)
    wide = slope_over(doses, outcomes, 1, shared)
    assert wide.high - wide.low > 1.5 * (alone.high - alone.low)
    none = slope_over(doses, outcomes, 1, np.zeros((4000, 4, 3)))
    assert none.high - none.low == pytest.approx(alone.high - alone.low, rel=0.1)


def test_two_outcomes_give_a_slope_without_an_interval() -> None:
    found = slope_over(np.array([0.0, 2.0]), np.array([[1.0], [5.0]]), 1)
    assert found.value == 2 and np.isnan([found.low, found.high]).all()


@pytest.mark.parametrize("how", ["normal", "all or nothing"])
def test_no_slope_is_found_where_there_is_none(how: str) -> None:
    """At most one verdict in twenty, also where a run learns a task wholly or not at all."""
    rng = np.random.default_rng(1)
    doses = np.array([-3.5, -1.5, 0.0, 1.0])
    drawn = (rng.normal(size=(2000, 4, 3)), rng.choice([-1.0, 0.0, 1.0], p=[0.2, 0.6, 0.2], size=(2000, 4, 3)))
    found = [slope_over(doses, outcomes, 1) for outcomes in drawn[how != "normal"]]
    wrong = np.mean([slope.low > 0 or slope.high < 0 for slope in found])
    assert wrong <= 0.05 + 1.65 * (0.05 * 0.95 / 2000) ** 0.5
    assert wrong > 0.02
