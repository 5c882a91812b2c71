"""Intervals: what the same measurement could have given on other samples from the same population.

Independent yes/no values get Wilson's interval, everything else a bootstrap within strata over whole clusters of
samples that belong together (two images of one prompt, questions about one image): it needs no formula per statistic
(F1, sums of shares, differences of paired values). Few clusters make a percentile interval too narrow, so its
percentiles are moved out.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

Z_95 = 1.959963984540054  # the normal distribution's 97.5% point
BOOTSTRAP_SEED = 218
_WEIGHTS_AT_ONCE = 4_000_000  # cells of the (resamples, samples) matrix held at a time, 32 MB

# (R, N) weights of N samples in R resamples -> (R,) values.
Statistic = Callable[[np.ndarray], np.ndarray]


def error_of_ratio(sums: np.ndarray, counts: np.ndarray) -> float:
    """Standard error of what clusters' sums add up to over what their counts do; NaN of a single cluster.

    Of a ratio of means: the spread of what each cluster is off by, over the mean count.

    Args:
        sums, counts: float (N,).
    """
    if len(sums) < 2:
        return math.nan
    off = sums - sums.sum() / counts.sum() * counts
    return float(off.std(ddof=1) / len(off) ** 0.5 / counts.mean())


def margin_of_mean(values: np.ndarray) -> float:
    """Student's 95% margin of the mean of independent values (N,), by their spread; NaN of a single one."""
    if len(values) < 2:
        return math.nan
    return float(special.stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) / len(values) ** 0.5)


@dataclass(frozen=True)
class Estimate:
    """A value with its 95% interval; `n` is the number of samples behind it."""

    value: float
    standard_error: float
    low: float
    high: float
    n: int

    def minus(self, constant: float) -> "Estimate":
        """The estimate's difference from a number that is known exactly, such as chance."""
        return Estimate(self.value - constant, self.standard_error, self.low - constant, self.high - constant, self.n)


def wilson(successes: float, n: float) -> tuple[float, float]:
    """Wilson's 95% score interval of a share (Wilson 1927); (0, 1) when there are no samples."""
    if n <= 0:
        return 0.0, 1.0
    share, z2 = successes / n, Z_95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # At 0 and n the bound is exactly 0 and 1; rounding must not push it past the share.
    return (0.0 if successes <= 0 else centre - half), (1.0 if successes >= n else centre + half)


def share(values: np.ndarray) -> Estimate:
    """Share of independent values (N,) of 0 and 1, or bool, with Wilson's interval."""
    values = np.asarray(values, dtype=np.float64)
    n = len(values)
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, math.nan, 0)
    value = float(values.mean())
    low, high = wilson(float(values.sum()), n)
    return Estimate(value, math.sqrt(value * (1 - value) / n), low, high, n)


def mean_of_strata(values: np.ndarray, strata: np.ndarray) -> Statistic:
    """The statistic "mean over strata of the mean inside each": GenEval's overall, SEED-Bench's accuracy.

    Values are float (N,), strata (N,) labels; one label for all gives the plain mean.
    """
    values = np.asarray(values, dtype=np.float64)
    members = np.stack([np.asarray(strata) == stratum for stratum in np.unique(strata)]).astype(np.float64)  # (S, N)

    def statistic(weights: np.ndarray) -> np.ndarray:
        sums, counts = weights @ (members * values).T, weights @ members.T  # (R, S)
        return np.asarray((sums / counts).mean(axis=1))

    return statistic


def bootstrap(
    statistic: Statistic,
    clusters: np.ndarray,
    *,
    strata: np.ndarray | None = None,
    samples: int,
    seed: int = BOOTSTRAP_SEED,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    span: float = 1.0,
) -> Estimate:
    """Percentile bootstrap that resamples whole clusters, within strata.

    Of a stratum's k clusters k - 1 are drawn with replacement: drawing k would make standard errors of a stratum of
    three clusters a fifth too small (Rao and Wu 1988). A stratum of one cluster has no spread to show. For the
    interval the normal distribution's 2.5% is replaced by what Student's t needs with as many degrees of freedom as
    there are clusters beyond the strata (Hesterberg 2015, "expanded percentile interval").

    Args:
        statistic: from (R, N) sample weights to (R,) values.
        clusters: (N,) labels; samples of one label are drawn together.
        strata: (N,) labels; each stratum keeps its weight. A cluster lies in one stratum.
        samples: number of resamples.
        seed: of the resampling.
        bounds: values outside are impossible; the interval is cut there.
        span: range of what one cluster can contribute. Where all resamples agree (every answer wrong, say),
            the bootstrap would claim certainty; the interval is then widened by span x (1 - 0.025^(1/k)), what
            k clusters without a single deviation leave possible.
    """
    clusters = np.asarray(clusters)
    n = len(clusters)
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, math.nan, 0)
    strata = np.zeros(n, dtype=np.int64) if strata is None else np.asarray(strata)
    names, first, cluster_of = np.unique(clusters, return_index=True, return_inverse=True)
    groups = [np.flatnonzero(strata[first] == stratum) for stratum in np.unique(strata)]

    rng = np.random.default_rng(seed)
    values = []
    step = max(1, _WEIGHTS_AT_ONCE // n)
    for begin in range(0, samples, step):
        resamples = min(step, samples - begin)
        counts = np.zeros((resamples, len(names)))
        for group in groups:
            drawn = max(1, len(group) - 1)
            # Weights add up to the stratum's number of clusters, so that no stratum gains or loses.
            weights = rng.multinomial(drawn, np.full(len(group), 1 / len(group)), size=resamples)
            counts[:, group] = weights * (len(group) / drawn)
        values.append(statistic(counts[:, cluster_of]))
    resampled = np.concatenate(values)
    resampled = resampled[np.isfinite(resampled)]  # F1 of a resample without a single yes is undefined

    value = float(statistic(np.ones((1, n)))[0])
    if len(resampled) < 2 or not math.isfinite(value):
        return Estimate(value, math.nan, math.nan, math.nan, n)
    tail = 100 * float(special.ndtr(-special.stdtrit(max(1, len(names) - len(groups)), 0.975)))
    low, high = (float(bound) for bound in np.percentile(resampled, [tail, 100 - tail]))
    if low == high:
        slack = span * (1 - 0.025 ** (1 / len(names)))
        low, high = low - slack, high + slack
    return Estimate(value, float(resampled.std(ddof=1)), max(low, bounds[0]), min(high, bounds[1]), n)


def clustered_share(
    values: np.ndarray,
    clusters: np.ndarray,
    *,
    strata: np.ndarray | None = None,
    samples: int,
) -> Estimate:
    """Mean over strata of the share of 0/1 values, bootstrapped over clusters, kept within 0..1."""
    labels = np.zeros(len(values)) if strata is None else strata
    statistic = mean_of_strata(values, labels)
    return bootstrap(statistic, clusters, strata=strata, samples=samples, bounds=(0.0, 1.0))
