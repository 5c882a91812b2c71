"""Verdicts: each class is reached from data that call for it; one seed, or nothing learned, never decides."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.figures.synthetic import BLIND, SWEEP, SyntheticExperiment, drawn_figure
from unix_lib.figures.analysis_claims import depth_claim, entropy_claim
from unix_lib.figures.claims import CLAIMS, COLUMNS, draw, findings
from unix_lib.figures.conditional_entropy import measured_entropy
from unix_lib.figures.evidence import (
    FAILS,
    HOLDS,
    NOT_MEASURABLE,
    UNDECIDED,
    Difference,
    Finding,
    over_seeds,
    over_splits,
    verdict_of,
)
from unix_lib.figures.gradient_conflict import measured_conflict
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.style import compared_unix

DECIDED = (HOLDS, FAILS)
UNIX_WINS = {"shared": 0.1, "unix": 0.9, "mot": 0.1, "moe": 0.1}
UNIX_LOSES = {"shared": 0.9, "unix": 0.1, "mot": 0.9, "moe": 0.9}


def verdicts(results: Path, **options: object) -> dict[int, set[str]]:
    experiment = SyntheticExperiment(results, **options)  # type: ignore[arg-type]
    found = findings(Inputs(results, experiment.inputs))
    return {claim: {f.verdict for f in found if f.claim == claim} for claim in CLAIMS}


@pytest.mark.parametrize(
    ("low", "high", "seeds", "compares", "expected"),
    [
        (0.1, 0.3, 3, True, HOLDS),
        (-0.3, -0.1, 3, True, FAILS),
        (-0.1, 0.3, 3, True, UNDECIDED),
        (0.1, 0.3, 1, True, UNDECIDED),
        (-0.3, -0.1, 1, True, UNDECIDED),
        (0.1, 0.3, 1, False, HOLDS),
        (0.0, 0.3, 3, True, UNDECIDED),
        (float("nan"), 0.3, 3, True, NOT_MEASURABLE),
        (0.2, 0.2, 3, True, NOT_MEASURABLE),
        (0.2, 0.2, 0, False, NOT_MEASURABLE),
    ],
)
def test_verdict(low: float, high: float, seeds: int, compares: bool, expected: str) -> None:
    difference = Difference((low + high) / 2, low, high, 100, seeds)
    verdict, reason = verdict_of(difference, of_training=compares)
    assert verdict == expected
    assert reason


def test_one_seed_decides_nothing_between_architectures(tmp_path: Path) -> None:
    found = verdicts(tmp_path, skill=UNIX_WINS, conflict={"shared": 0.5, "unix": 0.0})
    assert found[2] == found[3] == found[4] == {UNDECIDED}
    assert found[5] == found[6] == found[7] == {NOT_MEASURABLE}


def test_several_seeds_decide(tmp_path: Path) -> None:
    for name, skill, conflict, expected in (
        ("better", UNIX_WINS, {"shared": 0.5, "unix": 0.0}, HOLDS),
        ("worse", UNIX_LOSES, {"shared": 0.0, "unix": 0.5}, FAILS),
    ):
        found = verdicts(tmp_path / name, seeds=(1, 2, 3), skill=skill, conflict=conflict, prompts=60, steps=(0, 100))
        assert found[2] == {HOLDS}
        assert found[3] == {expected}
        assert found[4] == {expected}


def test_no_claim_is_decided_by_what_says_nothing(tmp_path: Path) -> None:
    """Over all claims: an experiment decides each that can be decided; without anything in it to know, none."""
    unix_wins = {"shared": 0.1, "unix": 0.9, "late": 0.1, "mot": 0.1}
    everything = SyntheticExperiment(
        tmp_path / "everything",
        architectures=SWEEP,
        seeds=(1, 2, 3),
        prompts=60,
        steps=(0, 100),
        skill=unix_wins,
        conflict={"shared": 0.5, "unix": 0.0},
        bits={"shapes": 9.0},
        speed={"unix": 12000.0},
        gpus=1,
    )
    decided = {f.claim for f in findings(Inputs(everything.results, everything.inputs)) if f.verdict in DECIDED}
    assert decided == set(CLAIMS) - {7}  # a new claim is to be decided by this experiment, or else can't be tested

    found: list[Finding] = []
    for turn in range(4):
        blind = {run: BLIND[(place + turn) % 4] for place, run in enumerate(SWEEP)}
        nothing = SyntheticExperiment(
            tmp_path / f"nothing-{turn}",
            architectures=SWEEP,
            seeds=(3 * turn, 3 * turn + 1, 3 * turn + 2),
            prompts=60,
            steps=(0, 100),
            blind=blind,
            gpus=1,
            noise=True,
        )
        found += findings(Inputs(nothing.results, nothing.inputs))
    measured = [finding for finding in found if finding.difference is not None]
    assert {finding.claim for finding in measured} == decided
    of_scores = [finding for finding in measured if finding.claim in (4, 6)]
    assert len(of_scores) == 12
    assert not [finding for finding in of_scores if finding.verdict in DECIDED]
    assert any("above chance" in finding.reason and "unreadable" in finding.reason for finding in of_scores)
    assert any("'no' to all of pope" in finding.reason for finding in of_scores)
    # Entropies, gradients and speeds have no level of their own at which nothing is known: 95% intervals of noise.
    wrong = [finding for finding in measured if finding.verdict in DECIDED]
    assert len(wrong) <= stats.binom.ppf(0.999, len(measured), 0.05)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_what_has_no_spread_decides_nothing(tmp_path: Path, value: float) -> None:
    """All speeds, entropies' errors and conflicts alike: an interval of no width is no certainty."""
    same = over_splits(pd.DataFrame({1: [value] * 4, 2: [value] * 4}), 8)
    assert (same.value, same.n, same.seeds) == (value, 8, 2) and np.isnan([same.low, same.high]).all()
    assert verdict_of(same, of_training=True)[0] == NOT_MEASURABLE and "not known" in str(same)
    experiment = SyntheticExperiment(tmp_path, bits={"shapes": 9.0}, prompts=6, steps=(0, 100))
    path = tmp_path / experiment.inputs["entropy"][0] / "entropy.parquet"
    table = pd.read_parquet(path)
    assert HOLDS in {f.verdict for f in entropy_claim(table)}
    table.assign(corrected_standard_error=0.0).to_parquet(path)
    found = list(entropy_claim(measured_entropy(Inputs(tmp_path, experiment.inputs))))
    assert {f.verdict for f in found} == {NOT_MEASURABLE}


def test_equal_architectures_stay_undecided(tmp_path: Path) -> None:
    equal = dict.fromkeys(UNIX_WINS, 0.5)
    found = verdicts(tmp_path, seeds=(1, 2, 3), skill=equal, prompts=30, steps=(0, 100))
    assert found[4] == {UNDECIDED}


def test_entropy_needs_no_seed_and_follows_the_sign(tmp_path: Path) -> None:
    experiment = SyntheticExperiment(tmp_path, bits={"shapes": 9.0}, prompts=6, steps=(0, 100))
    found = [f for f in findings(Inputs(tmp_path, experiment.inputs)) if f.claim == 1]
    assert {f.part: f.verdict for f in found} == {
        "n = 2, shapes": HOLDS,
        "n = 2, digits": FAILS,
        "n = 3, shapes": HOLDS,
        "n = 3, digits": FAILS,
    }
    first = found[0].difference
    assert first is not None
    assert first.value == pytest.approx(9 / 2 - 6 / 2)
    assert first.high - first.low == pytest.approx(2 * 2.093 * 0.03 * 2**0.5, rel=1e-3)  # 20 groups of sequences


def test_entropy_of_two_sequences_has_an_error_that_is_hardly_known(tmp_path: Path) -> None:
    """Student's t with one degree of freedom, 12.706."""
    experiment = SyntheticExperiment(tmp_path, bits={"shapes": 6.6}, prompts=6, steps=(0, 100))
    table = Inputs(tmp_path, experiment.inputs).table("entropy", "entropy.parquet")
    assert next(entropy_claim(table)).verdict == HOLDS
    found = next(entropy_claim(table.assign(sequences=2)))
    assert found.verdict == UNDECIDED and found.difference is not None
    assert found.difference.high - found.difference.value == pytest.approx(12.706 * 0.03 * 2**0.5, rel=1e-3)


def test_entropy_of_too_small_a_sample_is_undecided(tmp_path: Path) -> None:
    experiment = SyntheticExperiment(tmp_path, bits={"shapes": 9.0}, prompts=6, steps=(0, 100))
    inputs = Inputs(tmp_path, experiment.inputs)
    table = inputs.table("entropy", "entropy.parquet").assign(coverage=0.3)
    assert {f.verdict for f in entropy_claim(table)} == {UNDECIDED}


def test_middle_claim_uses_only_layers_that_unix_shares(tmp_path: Path) -> None:
    """The made-up U-shape lifts outer layers of the shared model; in the middle the two are equal."""
    experiment = SyntheticExperiment(tmp_path, seeds=(1, 2, 3), prompts=6, steps=(0, 100))
    (middle,) = [f for f in findings(Inputs(tmp_path, experiment.inputs)) if f.claim == 3]
    assert middle.difference is not None
    assert abs(middle.difference.value) < 0.02
    assert middle.verdict == UNDECIDED


def test_nothing_measured(tmp_path: Path) -> None:
    found = findings(Inputs(tmp_path, {}))
    assert {f.claim for f in found} == set(CLAIMS)
    assert {f.verdict for f in found} == {NOT_MEASURABLE}


def test_table(tmp_path: Path) -> None:
    experiment = SyntheticExperiment(tmp_path, prompts=6, steps=(0, 100))
    table = draw(Inputs(tmp_path, experiment.inputs), drawn_figure("claims", "tiny")).table
    assert list(table.columns) == COLUMNS
    assert set(table.scale) == {"tiny"}
    assert table.reason.str.len().gt(0).all()
    measured = table.dropna(subset=["difference"])
    assert ((measured.low <= measured.difference) & (measured.difference <= measured.high)).all()


def test_interval_over_seeds_covers_the_truth() -> None:
    """Known seed and prompt variances: about 95% of the intervals hold the true difference, also for three seeds."""
    rng = np.random.default_rng(0)
    truth, hits, trials = 0.2, 0, 300
    for _ in range(trials):
        per_seed = truth + rng.normal(0, 0.1, 3) + rng.normal(0, 0.05)  # the last: prompts, shared by seeds
        replicates = per_seed + rng.normal(0, 0.05, (1000, 1))
        interval = over_seeds(replicates, per_seed, 50)
        hits += interval.low <= truth <= interval.high
    assert 0.92 <= hits / trials <= 1.0


def test_conflict_that_is_only_noise_decides_nothing(tmp_path: Path) -> None:
    """Outer layers whose gradients are less noisy: c rises with S_base, the angle between the modalities does not."""
    experiment = SyntheticExperiment(tmp_path, seeds=(1, 2, 3), prompts=6, steps=(0, 100))
    table = Inputs(tmp_path, experiment.inputs).table("conflict", "conflict.parquet")
    rng = np.random.default_rng(1)
    reliability = (0.3 + 0.1 * (table.layer - 2.5).abs()) * rng.uniform(0.97, 1.03, len(table))
    measured = {"s_inter": 0.2 * reliability, "s_base": reliability, "s_text": reliability, "s_image": reliability}
    noisy = table.assign(**measured, conflict=0.8 * reliability)
    noisy.loc[~noisy.shared, [*measured, "conflict"]] = np.nan
    for finding in depth_claim(noisy.assign(documents=100, reached=True)):
        assert finding.difference is not None and finding.difference.low > 0
        assert finding.verdict == UNDECIDED
        assert "corrected for noise the difference is" in finding.reason and finding.difference.n == 100


def test_conflict_of_gradients_that_are_almost_noise_decides_nothing(tmp_path: Path) -> None:
    experiment = SyntheticExperiment(tmp_path, seeds=(1, 2, 3), prompts=6, steps=(0, 100))
    table = Inputs(tmp_path, experiment.inputs).table("conflict", "conflict.parquet")
    for finding in depth_claim(table.assign(s_image=0.02, documents=100, reached=True)):
        assert finding.verdict == UNDECIDED
        assert "too noisy" in finding.reason and "reliability 0.02" in finding.measured


def test_conflict_less_reliable_than_asked_decides_nothing(tmp_path: Path) -> None:
    experiment = SyntheticExperiment(tmp_path, seeds=(1, 2, 3), prompts=6, steps=(0, 100))
    conflict = measured_conflict(Inputs(tmp_path, experiment.inputs))
    assert {finding.verdict for finding in depth_claim(conflict)} == {HOLDS}
    some = conflict.reached & (conflict.run != "shared-seed2")
    for finding in depth_claim(conflict.assign(reached=some)):
        assert finding.verdict == UNDECIDED
        assert "less reliable than the analysis asks for" in finding.reason + finding.measured


def test_the_papers_split_stands_for_unix_in_a_sweep() -> None:
    assert compared_unix(["shared", "unix 3:3", "unix 9:5", "mot"]) == "unix 9:5"
    assert compared_unix(["shared", "unix 2:1", "unix 3:1"]) == "unix 2:1"
    assert compared_unix(["shared", "mot"]) is None
