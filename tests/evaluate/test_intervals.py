"""Intervals against formulas from elsewhere, exact cases, and how often they cover the truth."""

import math

import numpy as np
import pytest
from scipy import stats

from unix_lib.evaluate.intervals import bootstrap, clustered_share, mean_of_strata, share, wilson


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (1, 10), (5, 10), (10, 10), (37, 192), (1, 1)])
def test_wilson_agrees_with_scipy(successes, n):
    expected = stats.binomtest(successes, n).proportion_ci(method="wilson")
    assert wilson(successes, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_share_has_binomial_standard_error():
    estimate = share(np.array([1, 0, 0, 1, 0]))
    assert (estimate.value, estimate.n) == (0.4, 5)
    assert estimate.standard_error == pytest.approx(math.sqrt(0.4 * 0.6 / 5))


def test_nothing_gives_an_undefined_value():
    for estimate in (share(np.array([])), bootstrap(lambda w: w.sum(axis=1), np.array([]), samples=100)):
        assert math.isnan(estimate.value)
        assert estimate.n == 0


def test_bootstrap_repeats_itself():
    values, clusters = np.arange(20) % 3, np.arange(20) // 2
    statistic = mean_of_strata(values, np.zeros(20))
    one, other = (bootstrap(statistic, clusters, samples=300, seed=5) for _ in range(2))
    assert one == other
    assert one != bootstrap(statistic, clusters, samples=300, seed=6)


def test_bootstrap_of_independent_values_has_the_textbook_standard_error():
    values = np.random.default_rng(1).normal(size=60)
    estimate = bootstrap(mean_of_strata(values, np.zeros(60)), np.arange(60), samples=20_000)
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.standard_error == pytest.approx(stats.sem(values), rel=0.03)


def test_copies_within_a_cluster_add_no_certainty():
    values = np.random.default_rng(2).integers(0, 2, 30).astype(float)
    alone = clustered_share(values, np.arange(30), samples=4000)
    copied = clustered_share(np.repeat(values, 5), np.repeat(np.arange(30), 5), samples=4000)
    assert copied.standard_error == pytest.approx(alone.standard_error, rel=0.1)
    assert copied.n == 150


def test_strata_weigh_the_same_whatever_their_size():
    values = np.array([1.0] * 30 + [0.0] * 10)
    strata = np.array(["large"] * 30 + ["small"] * 10)
    assert clustered_share(values, np.arange(40), strata=strata, samples=200).value == 0.5


def test_strata_keep_their_weight_in_every_resample():
    # Constant within strata: any resample that kept the strata's weights gives the same mean.
    values = np.array([1.0] * 3 + [0.0] * 5)
    strata = np.array([0] * 3 + [1] * 5)
    estimate = bootstrap(mean_of_strata(values, strata), np.arange(8), strata=strata, samples=500)
    assert estimate.standard_error == 0.0


def test_a_bootstrap_without_spread_is_not_certain():
    estimate = clustered_share(np.zeros(20), np.arange(20), samples=200)
    exact = stats.binomtest(0, 20).proportion_ci(method="exact")
    assert (estimate.value, estimate.low) == (0.0, 0.0)
    assert estimate.high == pytest.approx(exact.high)


@pytest.mark.parametrize("clusters", [12, 40])
def test_clustered_intervals_cover_the_truth(clusters):
    """Clusters have their own rates of success, mean 0.4: an interval over samples alone would cover far too rarely."""
    rng = np.random.default_rng(3)
    covered_clustered, covered_naive, trials = 0, 0, 300
    for _ in range(trials):
        rates = rng.beta(0.8, 1.2, clusters)
        values = (rng.random((clusters, 8)) < rates[:, None]).astype(float).ravel()
        estimate = clustered_share(values, np.repeat(np.arange(clusters), 8), samples=400)
        covered_clustered += estimate.low <= 0.4 <= estimate.high
        naive = share(values)
        covered_naive += naive.low <= 0.4 <= naive.high
    assert covered_clustered / trials > 0.89
    assert covered_naive / trials < 0.85


def test_minus_moves_value_and_interval():
    estimate = share(np.array([1, 1, 0, 1]))
    moved = estimate.minus(0.25)
    assert (moved.value, moved.low, moved.high) == (estimate.value - 0.25, estimate.low - 0.25, estimate.high - 0.25)
    assert moved.standard_error == estimate.standard_error
