"""The slope of an outcome over a dose, with a 95% interval: least squares over the seeds of all doses.

Seeds at the same dose share prompts, which spread around the line does not show; so their resamples are added to it.
"""

import numpy as np
from scipy import special

from unix_lib.figures.evidence import SEED, Difference, Spread, parts_of, student_draws


def slope_over(doses: np.ndarray, outcomes: np.ndarray, n: int, noise: np.ndarray | None = None) -> Difference:
    """The least-squares slope and its interval, by Student's t with A S - 2 degrees of freedom.

    Args:
        doses: float (A,), taken as exact; not all alike.
        outcomes: float (A, S), of S seeds at each dose.
        n: samples behind an outcome.
        noise: float (R, A, S), how far resamples of the same prompts move the outcomes.

    Returns:
        Its bounds are NaN with fewer than three outcomes or without spread around the line.
    """
    count, seeds = outcomes.shape
    centred = doses - doses.mean()
    weights = centred / (centred**2).sum()  # a seed's slope is their sum with its outcomes
    slope = float((weights @ outcomes).mean())
    freedom = outcomes.size - 2
    if freedom < 1:
        return Difference(slope, np.nan, np.nan, n, seeds)
    residuals = outcomes - outcomes.mean() - slope * centred[:, None]
    of_seed = ((residuals**2).sum() / freedom * (weights**2).sum()) ** 0.5
    error = of_seed / seeds**0.5
    if noise is None:
        reach = special.stdtrit(freedom, 0.975) * error
        return Difference(slope, slope - reach, slope + reach, n, seeds, Spread(of_seed, 0.0, doses=count))
    moved = np.einsum("ras,a->rs", noise, weights)
    draws = moved.mean(axis=1) + error * student_draws(freedom, len(moved), SEED)
    low, high = np.percentile(slope + draws, [2.5, 97.5])
    spread = Spread(of_seed, *parts_of(moved), doses=count)
    return Difference(slope, float(low), float(high), n, seeds, spread)
