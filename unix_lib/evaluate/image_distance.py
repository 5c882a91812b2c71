"""Scores how far a checkpoint's images are from a source's own, as two sets: what they look like, not what they show.

The Frechet distance between two normal distributions with the sets' means and covariances (Heusel et al. 2017) is too
large at few images, the more so the more features there are: what the source's own images are from each other, half
against half, says how large at how many. The kernel distance (Binkowski et al. 2018) has no such bias; it may be below
0.
"""

import math
from collections.abc import Callable

import numpy as np
import pyarrow.parquet as pq
from scipy import special

from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.evaluate.benchmark import Answers, BenchmarkResult
from unix_lib.evaluate.intervals import BOOTSTRAP_SEED, Estimate
from unix_lib.evaluate.scorers.image_distance import DistanceScoring
from unix_lib.evaluate.tables import FEATURES_FILE, Score

FEWEST = 4  # images of a set
GROUPS = 10  # of the jackknife
HALVINGS = 4

Distance = Callable[[np.ndarray, np.ndarray], float]


def score_distance(answers: Answers[DistanceScoring]) -> BenchmarkResult:
    """Distances between the two sets, named after what they are measured with.

    Raises:
        BenchmarkError: too few images.
    """
    assert answers.judging is not None  # the kind has one
    table = pq.read_table(answers.judging / FEATURES_FILE)
    features = np.array(table["features"].to_pylist(), dtype=np.float64).reshape(table.num_rows, -1)
    of = np.array(table["of"].to_pylist())
    drawn, own = features[of == "drawn"], features[of == "own"]
    if min(len(drawn), len(own)) < FEWEST:
        raise BenchmarkError(
            f"evaluate.benchmarks.{answers.name}: {len(drawn)} images drawn and {len(own)} own ones; hold more out, or "
            "set 'split: all' where no run is trained on the source"
        )
    model = answers.settings.features
    by = "plain_statistics" if model is None else model.metric
    halves = [frechet_distance(*_halves(own, seed)) for seed in range(HALVINGS)]
    floor = float(np.mean(halves))
    scores = [
        Score(f"{by}_frechet", jackknifed(frechet_distance, drawn, own)),
        Score(f"{by}_kernel", jackknifed(kernel_distance, drawn, own)),
        Score(f"{by}_frechet_own_halves", Estimate(floor, math.nan, math.nan, math.nan, len(own) // 2)),
    ]
    protocol = f"drawn captions against own images, {'plain statistics' if model is None else model.name}"
    return BenchmarkResult(scores, [], protocol)


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Squared distance |m - n|^2 + tr(C + D - 2 (C D)^(1/2)) of sets of features, float64 (N, F) and (M, F)."""
    covariances = [np.atleast_2d(np.cov(each, rowvar=False)) for each in (first, second)]
    root = _root(covariances[0])
    between = np.linalg.eigvalsh(root @ covariances[1] @ root)  # that of C D, which is not symmetric
    means = first.mean(axis=0) - second.mean(axis=0)
    traces = sum(float(np.trace(each)) for each in covariances)
    return float(means @ means) + traces - 2 * float(np.sqrt(np.clip(between, 0, None)).sum())


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    root: np.ndarray = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    return root


def kernel_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy with the kernel (x y / F + 1)^3."""

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        values: np.ndarray = (a @ b.T / a.shape[1] + 1) ** 3
        return values

    def within(one: np.ndarray) -> float:
        values = kernel(one, one)
        return float((values.sum() - np.trace(values)) / (len(one) * (len(one) - 1)))

    return within(first) + within(second) - 2 * float(kernel(first, second).mean())


def jackknifed(distance: Distance, first: np.ndarray, second: np.ndarray) -> Estimate:
    """A distance with the interval of a jackknife that leaves out a tenth of both sets at a time.

    The interval speaks of which images there happen to be, not of the bias of few.
    """
    value, groups = distance(first, second), min(GROUPS, len(first) // 2, len(second) // 2)
    without = [[_without(each, group, groups) for each in (first, second)] for group in range(groups)]
    left_out = np.array([distance(*pair) for pair in without])
    error = math.sqrt((groups - 1) / groups * float(np.square(left_out - left_out.mean()).sum()))
    reach = float(special.stdtrit(groups - 1, 0.975)) * error
    return Estimate(value, error, value - reach, value + reach, min(len(first), len(second)))


def _without(features: np.ndarray, group: int, groups: int) -> np.ndarray:
    kept: np.ndarray = features[_order(len(features), 0) % groups != group]
    return kept


def _halves(features: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    order = _order(len(features), seed)
    return features[order < len(features) // 2], features[order >= len(features) // 2]


def _order(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng([BOOTSTRAP_SEED, seed]).permutation(count)
