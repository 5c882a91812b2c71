"""How large a difference has to be to be decided: repetitions of an experiment, judged by the claims' own rules.

An interval moves with the true difference and is as wide wherever that lies. So experiments without a difference are
simulated once, and each says from which true difference on its interval would have lain above 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import special

from unix_lib.evaluate.intervals import Z_95
from unix_lib.figures.evidence import POWER, SEED, Spread, student_draws

EXPERIMENTS, REPLICATES, STEPS = 1000, 1000, 64


@dataclass(frozen=True)
class Known:
    """A spread as it was measured.

    Attributes:
        seeds: as many as it was measured with; 0 where no training is involved.
        freedom: where none is, degrees of freedom of the interval's Student's t; None of the normal distribution.
    """

    spread: Spread
    seeds: int
    freedom: int | None = None


@dataclass(frozen=True)
class Chances:
    """`needed` is float (E,): from which true difference on each simulated experiment decides."""

    needed: np.ndarray

    def power(self, difference: float) -> float:
        """The share of experiments that decide so large a difference for the claim."""
        return float((self.needed < difference).mean())

    @property
    def least(self) -> float:
        """The smallest difference that 80% of them decide."""
        return float(np.quantile(self.needed, POWER))


def reach(freedom: int | None) -> float:
    """Half of a 95% interval in standard errors, by Student's t; by the normal distribution where freedom is None."""
    return Z_95 if freedom is None else float(special.stdtrit(freedom, 0.975))


def chances(known: Sequence[Known], seeds: int, samples: float) -> Chances:
    """What an experiment decides that is to be decided by all of some differences at once.

    Args:
        known: of each difference, in the same units. Their noise is taken as independent; where it goes together, the
            power is higher.
        seeds: of the planned experiment, two at least; without meaning where no training is involved.
        samples: how many times the samples that were measured.
    """
    return Chances(np.max([_needed(each, seeds, samples, place) for place, each in enumerate(known)], axis=0))


@cache
def _needed(known: Known, seeds: int, samples: float, place: int) -> np.ndarray:
    """Of one difference; the square root law takes what samples leave to another number of them."""
    spread, rng = known.spread, np.random.default_rng([SEED, place])
    shared, own = spread.shared / samples**0.5, spread.own / samples**0.5
    if known.seeds == 0:
        free: np.ndarray = shared * (reach(known.freedom) - rng.normal(size=EXPERIMENTS))
        return free
    of_training = max(0.0, spread.runs**2 - spread.own**2)
    runs = (of_training + own**2) ** 0.5
    noise = shared * rng.normal(size=(REPLICATES, 1)) + own * rng.normal(size=(REPLICATES, seeds))
    noise -= noise.mean()
    points = shared * rng.normal(size=(EXPERIMENTS, 1)) + runs * rng.normal(size=(EXPERIMENTS, seeds))
    centres, of_samples = points.mean(axis=1), noise.mean(axis=1)
    if spread.doses:
        # Each experiment estimates the error of its slope from what is about its line.
        freedom = spread.doses * seeds - 2
        errors = (runs**2 / seeds * rng.chisquare(freedom, EXPERIMENTS) / freedom) ** 0.5
    else:
        # ASSUME: tasks' spread over runs is as it was measured; its degrees of freedom too.
        freedom, least = seeds - 1, spread.least * (known.seeds / seeds) ** 0.5
        errors = np.maximum(points.std(axis=1, ddof=1) / seeds**0.5, least)
    # The bounds of `over_seeds`, of `slope_over`, of all experiments at once.
    student = student_draws(freedom, REPLICATES, SEED)
    # The margin bends so little over the error that a few say those of all.
    some = np.linspace(errors.min(), errors.max(), STEPS)
    margins = -np.percentile(of_samples + some[:, None] * student, 2.5, axis=1)
    needed: np.ndarray = np.interp(errors, some, margins) - centres
    return needed
