"""Differences with 95% intervals, and the verdict that an interval allows.

A difference has replicates within each training seed (bootstrap resamples of prompts, random splits, steps); the
interval around its mean over seeds covers both. Seeds are too few to resample (three of them have ten distinct
resamples), so their part of the uncertainty is drawn from Student's t with S - 1 degrees of freedom around the mean;
with one seed it is unknown, and a claim about what training makes stays undecided.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import special

HOLDS, FAILS, UNDECIDED, NOT_MEASURABLE = "holds", "does not hold", "undecided", "not measurable here"
REPLICATES = 4000
POWER = 0.8
SEED = 218


@dataclass(frozen=True)
class Spread:
    """What moves a difference, as standard deviations in its units.

    Attributes:
        runs: of one seed's difference from another's; NaN of a single seed.
        shared: what the choice of samples (prompts, documents, steps) leaves, alike in all seeds.
        own: what it leaves in each seed on its own.
        least: the standard error that the mean over seeds is allowed at least; 0 where the rule has none.
        doses: of a slope, how many each seed has; `runs` is then that of one seed's slope, by what is about the line.
    """

    runs: float
    shared: float
    own: float = 0.0
    least: float = 0.0
    doses: int = 0

    def times(self, factor: float) -> "Spread":
        """The same in other units."""
        size = abs(factor)
        return Spread(size * self.runs, size * self.shared, size * self.own, size * self.least, self.doses)


@dataclass(frozen=True)
class Difference:
    """A difference whose sign the claim predicts to be positive; `n` counts the samples behind it.

    Bounds are NaN where no interval is known, also where it would have no width: values that are all alike say how few
    they are, not how certain.
    """

    value: float
    low: float
    high: float
    n: int
    seeds: int
    spread: Spread | None = None  # what the interval is made of, where the rule says so

    def __post_init__(self) -> None:
        if math.isclose(self.low, self.high, abs_tol=1e-12):
            object.__setattr__(self, "low", math.nan)
            object.__setattr__(self, "high", math.nan)

    def times(self, factor: float) -> "Difference":
        """The same in other units."""
        spread = None if self.spread is None else self.spread.times(factor)
        value, low, high = factor * self.value, factor * self.low, factor * self.high
        return replace(self, value=value, low=low, high=high, spread=spread)

    def __str__(self) -> str:
        known = math.isfinite(self.low) and math.isfinite(self.high)
        return f"{self.value:+.3g} [{f'{self.low:+.3g}, {self.high:+.3g}' if known else 'not known'}]"


@dataclass(frozen=True)
class Finding:
    """One part of a claim, as measured; a second difference in the same units, where the rule has one, must agree."""

    claim: int
    part: str
    published: str
    measured: str
    difference: Difference | None
    verdict: str
    reason: str
    agreeing: Difference | None = None


def not_measurable(claim: int, part: str, published: str, reason: str) -> Finding:
    """A part of a claim for which there is nothing to compare."""
    return Finding(claim, part, published, "", None, NOT_MEASURABLE, reason)


def verdict_of(difference: Difference, *, of_training: bool) -> tuple[str, str]:
    """What the interval allows to say, and why.

    One seed can't decide a claim about what training makes of an architecture (`of_training`).
    """
    if not np.isfinite([difference.value, difference.low, difference.high]).all():
        return NOT_MEASURABLE, "the difference has no interval: too few values, or all alike"
    direction = "in the claim's favour" if difference.value > 0 else "against the claim"
    if abs(difference.value) < (difference.high - difference.low) / 4:  # about one standard error
        direction = "close to 0"
    if of_training and difference.seeds < 2:
        return UNDECIDED, f"one training seed can't decide; its figure is {direction}"
    if difference.low > 0:
        return HOLDS, "the 95% interval of the difference lies above 0"
    if difference.high < 0:
        return FAILS, "the 95% interval of the difference lies below 0"
    return UNDECIDED, f"the 95% interval of the difference contains 0; the figure is {direction}"


def detectable(difference: Difference) -> float:
    """The smallest true difference that a repetition would have decided with a power of 80%; NaN where none can.

    From the width of the interval, as that of Student's t over seeds, whose power follows the noncentral t
    distribution.
    """
    half = (difference.high - difference.low) / 2
    if difference.seeds < 2 or not math.isfinite(half):
        return math.nan
    return least_detectable(half / float(special.stdtrit(difference.seeds - 1, 0.975)), difference.seeds - 1)


def least_detectable(standard_error: float, freedom: int) -> float:
    """The smallest true value that a t test tells from 0 at 95% with a power of 80%."""
    from scipy import optimize, stats  # half a second, which most figures do without

    bound = float(special.stdtrit(freedom, 0.975))
    return standard_error * float(optimize.brentq(lambda one: stats.nct.sf(bound, freedom, one) - POWER, 0, 100))


def over_seeds(replicates: np.ndarray, point: np.ndarray, n: int, least_margin: float = 0.0) -> Difference:
    """Combine replicates within seeds with the spread between seeds; `n` counts the samples behind each seed's.

    Args:
        replicates: float (R, S), the difference in each replicate and seed; a replicate is the same resample in all
            seeds.
        point: float (S,), the difference of each seed on the full sample.
        least_margin: what the 95% margin of the seeds' mean is at least. A few seeds may agree by chance where each
            learns something wholly or not at all.
    """
    seeds = replicates.shape[1]
    draws = replicates.mean(axis=1)
    runs, least = np.nan, 0.0
    if seeds > 1:
        runs = float(point.std(ddof=1))
        least = least_margin / float(special.stdtrit(seeds - 1, 0.975))
        draws = draws + max(runs / seeds**0.5, least) * student_draws(seeds - 1, len(draws), SEED)
    low, high = np.percentile(draws, [2.5, 97.5])
    shared, own = parts_of(replicates)
    return Difference(float(point.mean()), float(low), float(high), n, seeds, Spread(runs, shared, own, least))


def student_draws(freedom: int, count: int, seed: int) -> np.ndarray:
    """Student's t at evenly spaced probabilities, shuffled: drawn at random, its few far values would move a bound."""
    probabilities = (np.arange(count) + 0.5) / count
    return np.random.default_rng(seed).permutation(np.asarray(special.stdtrit(freedom, probabilities)))


def parts_of(replicates: np.ndarray) -> tuple[float, float]:
    """Standard deviations of replicates (R, S): of what is alike in all seeds, and of what is each seed's own."""
    seeds = replicates.shape[1]
    of_mean, of_each = float(replicates.mean(axis=1).var()), float(replicates.var(axis=0).mean())
    own = max(0.0, (of_each - of_mean) * seeds / (seeds - 1)) if seeds > 1 else 0.0
    return max(0.0, of_mean - own / seeds) ** 0.5, own**0.5


def over_splits(by_seed: pd.DataFrame, n: int) -> Difference:
    """A difference over seeds whose value within a seed is a mean over random splits of the same documents.

    A split's standard deviation stands for the error that the choice of documents leaves: it is that of half of them,
    so it is rather too large.

    `by_seed` has a row per split and a column per seed; `n` counts the documents behind each seed's difference.
    """
    point = by_seed.mean().to_numpy()
    error = by_seed.mean(axis=1).std(ddof=1) if len(by_seed) > 1 else np.nan
    noise = np.random.default_rng(SEED + 1).normal(0.0, 1.0, (REPLICATES, 1)) * error
    return over_seeds(point + noise, point, n)


def difference_of_estimates(value: float, standard_error: float, freedom: int, n: int) -> Difference:
    """A difference of independent estimates, no training seed involved, with Student's interval.

    Args:
        freedom: degrees of freedom of the error that has fewer; the difference's are at least as many.
    """
    margin = float(special.stdtrit(freedom, 0.975)) * standard_error
    return Difference(value, value - margin, value + margin, n, 0, Spread(0.0, standard_error))
