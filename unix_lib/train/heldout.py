"""The held-out loss: on which packs, at which steps, and what follows from it.

The steps depend on the run's settings and the checkpoint's step alone, never on how the run was cut into segments, so
the same checkpoint holds the same table however it was reached. Every process measures all packs itself: they are few,
and the numbers then don't depend on how many processes there are.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from unix_lib.config.train import CheckpointSettings, RunSettings
from unix_lib.pack.reader import PackReader
from unix_lib.records.schema import Row
from unix_lib.tokenizers.vocabulary import Vocabulary
from unix_lib.train.errors import TrainError
from unix_lib.train.log import losses_of
from unix_lib.train.state import Best

if TYPE_CHECKING:
    from torch import Tensor

    from unix_lib.models.routing import Batch

MEASUREMENTS = 10  # ASSUME: ten points of the curve are enough to see it, and cost a few percent of training
HELDOUT_PACKS = 8  # ASSUME: some thousand targets per modality: the loss is known to about 1%
PATIENCE = 2  # ASSUME: one bad measurement may be noise, two in a row are a rise


def measured_at(step: int, settings: RunSettings) -> bool:
    """Whether every long enough run measures at a step; a checkpoint's own step comes on top."""
    every = settings.keep_best_every or max(1, settings.optimization.total_steps // MEASUREMENTS)
    return step % every == 0


def chosen_packs(available: int) -> list[int]:
    """Indices of the held-out packs that are measured, spread evenly over the file."""
    count = min(available, HELDOUT_PACKS)
    return [index * available // count for index in range(count)]


def heldout_batches(
    packs: PackReader, settings: CheckpointSettings, vocabulary: Vocabulary, attention: Any
) -> list["Batch"]:
    """The model's arguments for the packs that are measured, a pack each; none where the mixture has no such packs.

    Args:
        attention: kernels, as `TrainExecution.attention`.

    Raises:
        TrainError: there are none, and the run needs them to keep its best weights.
    """
    from unix_lib.models.routing import build_batch

    reader = packs.heldout()
    if len(reader) == 0 and settings.keep_best_every is not None:
        raise TrainError(
            f"run {settings.run}: keep_best_every needs held-out packs, and mixture {settings.mixture} has none; "
            "add a source with held-out records or remove keep_best_every"
        )
    return [build_batch([reader[index]], vocabulary, attention) for index in chosen_packs(len(reader))]


def loss_sums(output: Any) -> "Tensor":
    """Summed losses and numbers of targets of a forward pass: text sum, image sum, text, image; float64 (4,)."""
    import torch

    parts = (output.loss_text_sum, output.loss_image_sum, output.targets_text, output.targets_image)
    return torch.stack([part.double() for part in parts])


def heldout_losses(model: Any, batches: Iterable["Batch"]) -> Row:
    """Losses per modality of a model (or DeepSpeed's engine around it) on batches that are on its device."""
    import torch

    was_training = model.training
    model.eval()
    with torch.no_grad():
        sums = [loss_sums(model(**batch)) for batch in batches]
    model.train(was_training)
    text_sum, image_sum, text, image = torch.stack(sums).sum(0).tolist()
    return losses_of(text_sum, image_sum, int(text), int(image))


def rows_for_checkpoint(rows: Sequence[Row], settings: CheckpointSettings) -> list[Row]:
    """The rows a checkpoint's table holds: those of every run of these settings, and its own step's."""
    return [row for row in rows if row["step"] == settings.step or measured_at(row["step"], settings)]


def judge(best: Best | None, step: int, loss: float, tokens: int) -> tuple[Best, bool]:
    """Take one more held-out loss into account.

    Returns:
        The best so far, and whether this measurement is it.
    """
    if best is None or loss < best.loss:
        return Best(step=step, loss=loss, tokens=tokens), True
    return replace(best, worse=best.worse + 1), False
