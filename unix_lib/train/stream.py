"""Deals the packs of each step to the processes; where a run stands among them is one integer, the packs consumed.

All processes walk the same order, so another number of processes sees the same packs in each optimizer step. When the
schedule outlasts the packs, the order starts again.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unix_lib.pack.reader import Pack
from unix_lib.train.errors import TrainError

if TYPE_CHECKING:
    from unix_lib.models.routing import Batch

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MicroBatch:
    """What one process computes at a time."""

    inputs: "Batch"  # the model's arguments
    tokens: int  # real tokens


@dataclass(frozen=True)
class Share:
    """How the packs of a step are dealt to processes."""

    packs_per_step: int
    micro_batch: int  # packs per process and forward pass
    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        if self.packs_per_step % (self.world_size * self.micro_batch):
            raise TrainError(
                f"optimization.packs_per_step {self.packs_per_step} can't be dealt evenly to {self.world_size} "
                f"process(es) of micro_batch {self.micro_batch}; make it a multiple of "
                f"{self.world_size * self.micro_batch}, or lower train.micro_batch or the job's nodes or gpus"
            )

    @property
    def accumulation(self) -> int:
        """Forward passes of a process in a step."""
        return self.packs_per_step // (self.world_size * self.micro_batch)


class PackStream:
    """Iterates over this process's micro-batches of the packs at positions `start`..`end`."""

    def __init__(
        self,
        packs: Sequence[Pack],
        share: Share,
        start: int,
        end: int,
        collate: Callable[[list[Pack]], "Batch"],
    ) -> None:
        """Make the stream.

        Args:
            packs: in the order in which they are trained.
            start, end: packs consumed before and after this segment, over all processes.
            collate: packs to the model's arguments.

        Raises:
            TrainError: there are no packs.
        """
        if len(packs) == 0:
            raise TrainError("the mixture has no packs; check its sources, kinds and weights under pack.mixtures")
        self.packs, self.share, self.start, self.end, self.collate = packs, share, start, end, collate

    def __iter__(self) -> Iterator[MicroBatch]:
        share = self.share
        for position in range(self.start, self.end, share.world_size * share.micro_batch):
            first = position + share.rank * share.micro_batch
            chosen = [self.packs[(first + i) % len(self.packs)] for i in range(share.micro_batch)]
            yield MicroBatch(
                inputs=self.collate(chosen),
                tokens=sum(len(pack.input_ids) for pack in chosen),
            )

    def fingerprint(self, position: int) -> str:
        """SHA-256 of the packs of the step that begins at a position, the same on every process.

        Saved with a state and compared after loading it, so that training can't go on with other data.
        """
        digest = hashlib.sha256()
        for offset in range(self.share.packs_per_step):
            pack = self.packs[(position + offset) % len(self.packs)]
            for values in (pack.input_ids, pack.loss_mask, pack.document_lengths):
                digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()


def warn_of_repeats(total_packs: int, available: int) -> None:
    """Say so when the whole run takes more packs than were planned; that there are none is the stream's to say."""
    if 0 < available < total_packs:
        logger.warning(
            "the schedule takes %d packs, the planned epochs hold %d: they are repeated, %.2f passes in all; "
            "raise pack.mixtures.<mixture>.epochs for fresh random choices",
            total_packs,
            available,
            total_packs / available,
        )
