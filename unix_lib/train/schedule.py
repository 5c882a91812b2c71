"""The learning-rate schedule as a pure function of the step.

Nothing about it is saved or restored: a segment that starts at step k computes what k needs. The values are those
of transformers' `get_scheduler` (linear, cosine, constant with warm-up), over the whole run, not the segment.
"""

import math

from unix_lib.config.train import Optimization


def learning_rate_factor(step: int, optimization: Optimization) -> float:
    """Share of the peak learning rate that optimizer step `step` (0-based) of a whole run uses.

    A linear climb from 0, its number of steps rounded up; then straight to 0, half a cosine to 0, or constant. Steps
    after the last give the schedule's end.
    """
    total_steps, schedule = optimization.total_steps, optimization.schedule
    warmup = math.ceil(total_steps * optimization.warmup_ratio)
    if step < warmup:
        return step / max(1, warmup)
    if schedule == "constant":
        return 1.0
    progress = min(1.0, (step - warmup) / max(1, total_steps - warmup))
    if schedule == "linear":
        return 1.0 - progress
    return 0.5 * (1.0 + math.cos(math.pi * progress))
