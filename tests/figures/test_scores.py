"""Combining scores: over seeds and benchmarks, without losing what an interval of few samples says."""

from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

from unix_lib.evaluate.intervals import Z_95, wilson
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.scores import final_scores, measured_scores, over_benchmarks, over_seeds


def scores(*values: float, n: int = 24) -> pd.DataFrame:
    """A row per seed, with Wilson's interval."""
    bounds = [wilson(value * n, n) for value in values]
    return pd.DataFrame(
        {
            "run": [f"run-{seed}" for seed in range(len(values))],
            "benchmark": "pope",
            "step": 100,
            "value": values,
            "standard_error": [(value * (1 - value) / n) ** 0.5 for value in values],
            "low": [low for low, _ in bounds],
            "high": [high for _, high in bounds],
            "n": n,
        }
    )


def test_one_seed_keeps_its_own_interval() -> None:
    row = over_seeds(scores(0.25), ["benchmark"]).iloc[0]
    assert (row.low, row.high) == pytest.approx(wilson(6, 24))
    assert row.seeds == 1


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_score_of_zero_keeps_what_its_samples_leave_possible(seeds: int) -> None:
    row = over_seeds(scores(*[0.0] * seeds), ["benchmark"]).iloc[0]
    assert (row.low, row.high) == pytest.approx((0.0, wilson(0, 24)[1]))


def test_few_seeds_count_by_students_t() -> None:
    row = over_seeds(scores(0.5, 0.6, n=1_000_000), ["benchmark"]).iloc[0]
    expected = stats.t.interval(0.95, 1, loc=0.55, scale=0.05)
    assert row.low == pytest.approx(max(0.0, expected[0]), abs=2e-3)
    assert row.high == pytest.approx(min(1.0, expected[1]), abs=2e-3)
    three = over_seeds(scores(0.50, 0.52, 0.54, n=1_000_000), ["benchmark"]).iloc[0]
    assert (three.low, three.high) == pytest.approx(stats.t.interval(0.95, 2, loc=0.52, scale=0.02 / 3**0.5), abs=2e-3)


def test_a_mean_over_benchmarks_adds_distances_in_quadrature() -> None:
    both = pd.concat([scores(0.0), scores(0.5).assign(benchmark="mme")]).assign(family="understanding")
    single = over_benchmarks(both[both.benchmark == "pope"], ["family"]).iloc[0]
    assert (single.low, single.high) == pytest.approx(wilson(0, 24))
    row = over_benchmarks(both, ["family"]).iloc[0]
    above = [high - value for value, high in zip(both.value, both.high, strict=True)]
    assert row.value == 0.25 and row.n == 48
    assert row.high - row.value == pytest.approx((above[0] ** 2 + above[1] ** 2) ** 0.5 / 2)
    assert row.value - row.low == pytest.approx((0.5 - both.low.iloc[1]) / 2)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_twenty_answers_that_are_all_alike_have_an_error(tmp_path: Path, value: float) -> None:
    low, high = wilson(20 * value, 20)
    table = scores(value, n=20).assign(artefact="evaluate/one", metric="accuracy", protocol="strict")
    assert table.standard_error.iloc[0] == 0
    folder = tmp_path / "evaluate" / "one"
    folder.mkdir(parents=True)
    table.to_parquet(folder / "scores.parquet")
    read = measured_scores(Inputs(tmp_path, {"evaluations": ["evaluate/one"]}))
    assert read.standard_error.iloc[0] == pytest.approx((high - low) / (2 * Z_95))
    mean = over_benchmarks(pd.concat([read, read.assign(benchmark="mme")]).assign(family="one"), ["family"]).iloc[0]
    assert mean.standard_error == pytest.approx(read.standard_error.iloc[0] / 2**0.5)


def test_final_scores_stand_at_the_last_step_that_all_runs_have() -> None:
    early, late = scores(0.1, 0.2), scores(0.5).assign(step=200)
    assert set(final_scores(pd.concat([early, late])).step) == {100}
    # No common step: each run's own last.
    alone = pd.concat([early[early.run == "run-1"], late])
    assert sorted(final_scores(alone).step) == [100, 200]
