"""The slope of an outcome over a dose, with a 95% interval: least squares over the seeds of all doses.

Seeds at the same dose share prompts, which spread around the line does not show; so their resamples are added to it.
"""

import numpy as np
from scipy import special

from unix_lib.figures.evidence import SEED, Difference, student_draws


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
    seeds = outcomes.shape[1]
    centred = np.repeat(doses - doses.mean(), seeds)
    values = outcomes.ravel()
    weights = centred / (centred**2).sum()  # the slope is their sum with the outcomes
    slope = float(weights @ values)
    freedom = len(values) - 2
    if freedom < 1:
        return Difference(slope, np.nan, np.nan, n, seeds)
    residuals = values - values.mean() - slope * centred
    error = ((residuals**2).sum() / freedom * (weights**2).sum()) ** 0.5
    if noise is None:
        reach = special.stdtrit(freedom, 0.975) * error
        return Difference(slope, slope - reach, slope + reach, n, seeds)
    draws = noise.reshape(len(noise), -1) @ weights
    draws = draws + error * student_draws(freedom, len(draws), SEED)
    low, high = np.percentile(slope + draws, [2.5, 97.5])
    return Difference(slope, float(low), float(high), n, seeds)
