"""When the held-out loss is measured, and what follows from it.

The steps depend on the run's settings and the checkpoint's step alone, never on how the run was cut into segments, so
the same checkpoint holds the same table however it was reached.
"""

from dataclasses import replace

from unix_lib.train.state import Best

MEASUREMENTS = 10  # ASSUME: ten points of the curve are enough to see it, and cost about a tenth of training
HELDOUT_PACKS = 8  # ASSUME: some thousand targets per modality: the loss is known to about 1%
PATIENCE = 2  # ASSUME: one bad measurement may be noise, two in a row are a rise


def measured_at(step: int, *, total_steps: int, keep_best_every: int | None) -> bool:
    """Whether every long enough run measures at a step; a checkpoint's own step comes on top."""
    every = keep_best_every or max(1, total_steps // MEASUREMENTS)
    return step % every == 0


def judge(best: Best | None, step: int, loss: float, tokens: int) -> tuple[Best, bool]:
    """Take one more held-out loss into account.

    Returns:
        The best so far, and whether this measurement is it.
    """
    if best is None or loss < best.loss:
        return Best(step=step, loss=loss, tokens=tokens), True
    return replace(best, worse=best.worse + 1), False


def has_risen(best: Best) -> bool:
    """Whether the loss has failed to improve `PATIENCE` times in a row: training stops."""
    return best.worse >= PATIENCE
