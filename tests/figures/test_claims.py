"""Verdicts: each class is reached from data that call for it, and one seed never decides between architectures."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.figures.synthetic import SyntheticExperiment
from unix_lib.figures.claim_rules import STATEMENTS, findings
from unix_lib.figures.claims import COLUMNS, draw
from unix_lib.figures.evidence import (
    FAILS,
    HOLDS,
    NOT_MEASURABLE,
    UNDECIDED,
    Difference,
    over_seeds,
    paired_score_difference,
    prompt_values,
    verdict_of,
)
from unix_lib.figures.inputs import Inputs

UNIX_WINS = {"shared": 0.1, "unix": 0.9, "mot": 0.1, "moe": 0.1}
UNIX_LOSES = {"shared": 0.9, "unix": 0.1, "mot": 0.9, "moe": 0.9}


def verdicts(results: Path, **options: object) -> dict[int, set[str]]:
    experiment = SyntheticExperiment(results, **options)  # type: ignore[arg-type]
    found = findings(Inputs(results, experiment.inputs))
    return {claim: {f.verdict for f in found if f.claim == claim} for claim in STATEMENTS}


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
    ],
)
def test_verdict(low: float, high: float, seeds: int, compares: bool, expected: str) -> None:
    difference = Difference((low + high) / 2, low, high, 100, seeds)
    verdict, reason = verdict_of(difference, compares_architectures=compares)
    assert verdict == expected
    assert reason


def test_one_seed_decides_nothing_between_architectures(tmp_path: Path) -> None:
    found = verdicts(tmp_path, skill=UNIX_WINS, conflict={"shared": 0.5, "unix": 0.0})
    assert found[3] == {UNDECIDED}
    assert found[4] == {UNDECIDED}
    assert found[2] == {HOLDS}  # within one model
    assert found[5] == found[6] == found[7] == {NOT_MEASURABLE}


def test_several_seeds_decide(tmp_path: Path) -> None:
    for name, skill, conflict, expected in (
        ("better", UNIX_WINS, {"shared": 0.5, "unix": 0.0}, HOLDS),
        ("worse", UNIX_LOSES, {"shared": 0.0, "unix": 0.5}, FAILS),
    ):
        found = verdicts(tmp_path / name, seeds=(1, 2, 3), skill=skill, conflict=conflict, prompts=60, steps=(0, 100))
        assert found[3] == {expected}
        assert found[4] == {expected}


def test_equal_architectures_stay_undecided(tmp_path: Path) -> None:
    equal = dict.fromkeys(UNIX_WINS, 0.5)
    found = verdicts(tmp_path, seeds=(1, 2, 3), skill=equal, prompts=30, steps=(0, 100))
    assert found[4] == {UNDECIDED}


def test_entropy_needs_no_seed_and_follows_the_sign(tmp_path: Path) -> None:
    experiment = SyntheticExperiment(tmp_path, image_bits=9.0, prompts=6, steps=(0, 100))
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
    assert first.high - first.low == pytest.approx(2 * 1.96 * 0.03 * 2**0.5, rel=1e-3)


def test_entropy_of_too_small_a_sample_is_undecided(tmp_path: Path) -> None:
    experiment = SyntheticExperiment(tmp_path, image_bits=9.0, prompts=6, steps=(0, 100))
    inputs = Inputs(tmp_path, experiment.inputs)
    table = inputs.table("entropy", "entropy.parquet").assign(coverage=0.3)
    from unix_lib.figures.claim_rules import entropy_claim

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
    assert {f.claim for f in found} == set(STATEMENTS)
    assert {f.verdict for f in found} == {NOT_MEASURABLE}


def test_table(tmp_path: Path) -> None:
    experiment = SyntheticExperiment(tmp_path, prompts=6, steps=(0, 100))
    table = draw(Inputs(tmp_path, experiment.inputs), "tiny").table
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


def test_paired_bootstrap_equals_a_plain_one(tmp_path: Path) -> None:
    """One benchmark a family, one seed: mean of three paired differences, resampled with loops."""
    rng = np.random.default_rng(1)
    rows = []
    for family in ("text", "generation", "understanding"):
        for prompt in range(40):
            for architecture, rate in (("unix 2:1", 0.7), ("mot", 0.4)):
                rows.append(
                    {
                        "architecture": architecture,
                        "seed": 1,
                        "family": family,
                        "benchmark": family,
                        "stratum": "",
                        "prompt": str(prompt),
                        "value": float(rng.random() < rate),
                    }
                )
    values = pd.DataFrame(rows)
    difference = paired_score_difference(values, "unix 2:1", "mot")
    assert difference is not None
    wide = values.pivot_table(index=["family", "prompt"], columns="architecture", values="value")
    paired = (wide["unix 2:1"] - wide["mot"]).unstack("family").to_numpy()
    draws = [np.mean([paired[rng.integers(0, 40, 40), family].mean() for family in range(3)]) for _ in range(4000)]
    assert difference.value == pytest.approx(paired.mean())
    assert difference.low == pytest.approx(np.percentile(draws, 2.5), abs=0.012)
    assert difference.high == pytest.approx(np.percentile(draws, 97.5), abs=0.012)
    assert difference.n == 120


def test_prompt_values_are_of_the_last_step_that_all_runs_have(tmp_path: Path) -> None:
    experiment = SyntheticExperiment(tmp_path, prompts=6, steps=(0, 100, 200))
    inputs = Inputs(tmp_path, experiment.inputs)
    values = prompt_values(inputs)
    assert len(values) == 4 * 4 * 6
    assert values[values.family == "generation"].stratum.nunique() == 6
    early = {"evaluations": [a for a in experiment.inputs["evaluations"] if "mot-step-00200" not in a]}
    at_100 = {"evaluations": [a for a in experiment.inputs["evaluations"] if "step-00100" in a]}
    assert prompt_values(Inputs(tmp_path, early)).equals(prompt_values(Inputs(tmp_path, at_100)))
    assert not prompt_values(Inputs(tmp_path, early)).equals(values)
