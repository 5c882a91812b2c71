"""Verdicts: each class is reached from data that call for it, and one seed never decides between architectures."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.figures.synthetic import SyntheticExperiment, drawn_figure
from unix_lib.figures.analysis_claims import depth_claim, entropy_claim
from unix_lib.figures.claims import COLUMNS, STATEMENTS, draw, findings
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
from unix_lib.figures.style import compared_unix

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


def test_intervals_of_few_prompts_cover_the_truth() -> None:
    """Strata as small as those of a small GenEval: a plain bootstrap of them covers less than 90%."""
    rng = np.random.default_rng(3)
    strata = np.repeat(np.arange(6), (8, 3, 3, 4, 2, 4))
    hits, trials = 0, 200
    for _ in range(trials):
        values = pd.DataFrame(
            [
                {"architecture": name, "seed": 1, "family": family, "benchmark": family}
                | {"stratum": str(stratum), "prompt": str(prompt), "value": value}
                for family in ("text", "generation", "understanding")
                for name, shift in (("unix 2:1", 0.1), ("mot", 0.0))
                for prompt, (stratum, value) in enumerate(zip(strata, shift + rng.normal(0, 0.4, 24), strict=True))
            ]
        )
        found = paired_score_difference(values, "unix 2:1", "mot")
        assert found is not None
        hits += found.low <= 0.1 <= found.high
    assert hits / trials >= 0.92


def test_differences_that_are_all_alike_leave_room() -> None:
    rows = [
        {"architecture": name, "seed": seed, "family": family, "benchmark": family, "stratum": ""}
        | {"prompt": str(prompt), "value": float(name == "unix 2:1")}
        for name in ("unix 2:1", "mot")
        for seed in (1, 2)
        for family in ("text", "generation", "understanding")
        for prompt in range(4)
    ]
    found = paired_score_difference(pd.DataFrame(rows), "unix 2:1", "mot")
    assert found is not None and found.value == 1.0
    assert found.low == pytest.approx(1 - 2 * (1 - 0.025 ** (1 / 12)))


def test_conflict_that_is_only_noise_decides_nothing(tmp_path: Path) -> None:
    """Outer layers whose gradients are less noisy: c rises with S_base, the angle between the modalities does not."""
    experiment = SyntheticExperiment(tmp_path, seeds=(1, 2, 3), prompts=6, steps=(0, 100))
    table = Inputs(tmp_path, experiment.inputs).table("conflict", "conflict.parquet")
    rng = np.random.default_rng(1)
    reliability = (0.3 + 0.1 * (table.layer - 2.5).abs()) * rng.uniform(0.97, 1.03, len(table))
    measured = {"s_inter": 0.2 * reliability, "s_base": reliability, "s_text": reliability, "s_image": reliability}
    noisy = table.assign(**measured, conflict=0.8 * reliability)
    noisy.loc[~noisy.shared, [*measured, "conflict"]] = np.nan
    for finding in depth_claim(noisy, 100):
        assert finding.difference is not None and finding.difference.low > 0
        assert finding.verdict == UNDECIDED
        assert "corrected for noise the difference is" in finding.reason and finding.difference.n == 100


def test_conflict_of_gradients_that_are_almost_noise_decides_nothing(tmp_path: Path) -> None:
    experiment = SyntheticExperiment(tmp_path, seeds=(1, 2, 3), prompts=6, steps=(0, 100))
    table = Inputs(tmp_path, experiment.inputs).table("conflict", "conflict.parquet")
    for finding in depth_claim(table.assign(s_image=0.02), 100):
        assert finding.verdict == UNDECIDED
        assert "too noisy" in finding.reason and "reliability 0.02" in finding.measured


def test_the_papers_split_stands_for_unix_in_a_sweep() -> None:
    assert compared_unix(["shared", "unix 3:3", "unix 9:5", "mot"]) == "unix 9:5"
    assert compared_unix(["shared", "unix 2:1", "unix 3:1"]) == "unix 2:1"
    assert compared_unix(["shared", "mot"]) is None


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
