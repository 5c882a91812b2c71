"""The held-out losses of a segment, and the best weights of a run that keeps them."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from safetensors.torch import save as safetensors_bytes
from torch import Tensor

from unix_lib.artefacts.hashed import Entry, HashedFile
from unix_lib.config.train import CheckpointSettings
from unix_lib.models.routing import Batch, move_batch
from unix_lib.records.schema import Row
from unix_lib.train import heldout, log
from unix_lib.train.state import BEST, HELDOUT, Best, State
from unix_lib.train.trainer import SegmentTrainer

logger = logging.getLogger(__name__)


class Measurements:
    """Measures together with the other processes; each has the table, the first one the best weights."""

    def __init__(
        self,
        settings: CheckpointSettings,
        trainer: SegmentTrainer,
        batches: Sequence[Batch],
        start: State | None,
    ) -> None:
        """Begin with what the state holds that the segment starts from; without batches, nothing is measured."""
        self.settings, self.trainer, self.batches = settings, trainer, batches
        self.rows: list[Row] = [] if start is None else log.read_rows(start.folder / HELDOUT)
        self.best: Best | None = None if start is None else start.progress.best
        self._best_weights: dict[str, Tensor] | None = None
        if start is not None and self.best is not None and trainer.is_world_process_zero():
            self._best_weights = load_file(start.folder / BEST)

    def due(self, step: int) -> bool:
        """Whether the loss is measured at a step, wherever segments end."""
        return heldout.measured_at(step, self.settings)

    @property
    def risen(self) -> bool:
        """Whether the loss rose in a run that keeps its best: training it further is of no use."""
        return self.best is not None and self.best.worse >= heldout.PATIENCE

    def measure(self, step: int, tokens: int) -> None:
        """Measure after a step, unless that was done, and keep the weights if the run keeps its best."""
        if not self.batches or any(row["step"] == step for row in self.rows):
            return
        device = self.trainer.args.device
        measured = [heldout.heldout_losses(self.trainer.engine, (move_batch(batch, device) for batch in self.batches))]
        if self.trainer.args.world_size > 1:  # the same to the last bit everywhere: decisions hang on it
            torch.distributed.broadcast_object_list(measured)
        losses = measured[0]
        self.rows.append({"step": step, "tokens": tokens} | losses)
        if self.settings.keep_best_every is None or losses["loss"] is None:
            return
        self.best, is_best = heldout.judge(self.best, step, losses["loss"], tokens)
        if is_best:
            self._best_weights = self.trainer.weights()
        if self.risen and step < self.settings.step:
            logger.info(
                "%s step %d: held-out loss %.4f has not improved on %.4f (step %d) for %d measurements: training stops",
                self.settings.run, step, losses["loss"], self.best.loss, self.best.step, self.best.worse,
            )  # fmt: skip

    def weights(self) -> dict[str, Tensor] | None:
        """The weights that the checkpoint is to hold: the best, or the last; None on other processes than the first.

        Called on all processes together.
        """
        return self.trainer.weights() if self.best is None else self._best_weights

    @property
    def bytes_kept(self) -> int:
        """Size of the best weights that this process keeps."""
        return sum(weight.nbytes for weight in (self._best_weights or {}).values())

    def state_writer(self) -> Callable[[Path], dict[Path, Entry]]:
        """What writes table and best weights so far into a state, also while training goes on."""
        rows, best = list(self.rows), self._best_weights

        def write(folder: Path) -> dict[Path, Entry]:
            log.write_rows(folder / HELDOUT, rows, log.HELDOUT_SCHEMA)
            if best is None:
                return {}
            with HashedFile(folder / BEST) as file:
                file.write(safetensors_bytes(best))
            return {folder / BEST: file.entry}

        return write
