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
from scipy import optimize, special, stats

from unix_lib.evaluate.intervals import Z_95

HOLDS, FAILS, UNDECIDED, NOT_MEASURABLE = "holds", "does not hold", "undecided", "not measurable here"
REPLICATES = 4000
POWER = 0.8
SEED = 218


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

    def __post_init__(self) -> None:
        if math.isclose(self.low, self.high, abs_tol=1e-12):
            object.__setattr__(self, "low", math.nan)
            object.__setattr__(self, "high", math.nan)

    def times(self, factor: float) -> "Difference":
        """The same in other units."""
        return replace(self, value=factor * self.value, low=factor * self.low, high=factor * self.high)

    def __str__(self) -> str:
        known = math.isfinite(self.low) and math.isfinite(self.high)
        return f"{self.value:+.3g} [{f'{self.low:+.3g}, {self.high:+.3g}' if known else 'not known'}]"


@dataclass(frozen=True)
class Finding:
    """One part of a claim, as measured."""

    claim: int
    part: str
    published: str
    measured: str
    difference: Difference | None
    verdict: str
    reason: str


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

    From the width of the interval, as that of Student's t over seeds (of the normal distribution where no training
    is involved), whose power follows the noncentral t distribution.
    """
    half = (difference.high - difference.low) / 2
    if difference.seeds == 1 or not math.isfinite(half):
        return math.nan
    if difference.seeds == 0:
        return half * (Z_95 + float(special.ndtri(POWER))) / Z_95
    return least_detectable(half / float(special.stdtrit(difference.seeds - 1, 0.975)), difference.seeds - 1)


def least_detectable(standard_error: float, freedom: int) -> float:
    """The smallest true value that a t test tells from 0 at 95% with a power of 80%."""
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
    if seeds > 1:
        error = max(point.std(ddof=1) / seeds**0.5, least_margin / float(special.stdtrit(seeds - 1, 0.975)))
        draws = draws + error * np.random.default_rng(SEED).standard_t(seeds - 1, size=len(draws))
    low, high = np.percentile(draws, [2.5, 97.5])
    return Difference(float(point.mean()), float(low), float(high), n, seeds)


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


def normal_difference(value: float, standard_error: float, n: int) -> Difference:
    """A difference of independent estimates with a normal interval; no training seed is involved."""
    return Difference(value, value - Z_95 * standard_error, value + Z_95 * standard_error, n, 0)
