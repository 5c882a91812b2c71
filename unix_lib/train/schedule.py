"""The learning-rate schedule as a pure function of the step.

Nothing about it is saved or restored: a segment that starts at step k computes what k needs. The values are those
of transformers' `get_scheduler` (linear, cosine, constant with warm-up), over the whole run, not the segment.
"""

import math
from typing import Literal

Schedule = Literal["linear", "cosine", "constant"]


def warmup_steps(total_steps: int, warmup_ratio: float) -> int:
    """Steps of warm-up: `warmup_ratio` of the run, rounded up."""
    return math.ceil(total_steps * warmup_ratio)


def learning_rate_factor(step: int, *, total_steps: int, warmup_ratio: float, schedule: Schedule) -> float:
    """Share of the peak learning rate that optimizer step `step` (0-based) uses.

    Args:
        step: 0..total_steps - 1; later steps give the schedule's end.
        total_steps: steps of the whole run.
        warmup_ratio: share of them that climbs linearly from 0.
        schedule: what follows: straight to 0, half a cosine to 0, or constant.
    """
    warmup = warmup_steps(total_steps, warmup_ratio)
    if step < warmup:
        return step / max(1, warmup)
    if schedule == "constant":
        return 1.0
    progress = min(1.0, (step - warmup) / max(1, total_steps - warmup))
    if schedule == "linear":
        return 1.0 - progress
    return 0.5 * (1.0 + math.cos(math.pi * progress))
