"""Writes one state: what each process puts into it, whether it fits, and the seal once all have written.

Each process writes DeepSpeed's shard of it and its random numbers, the first one the rest too, every file in one pass
with its hash, in a thread.
"""

from collections import ChainMap
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from unix_lib.artefacts.hashed import Entry
from unix_lib.artefacts.sealed import finish_folder, folder_before, open_folder, remove
from unix_lib.jobs.lock import Lock
from unix_lib.train import state
from unix_lib.train.disk_space import free_bytes, space_fault
from unix_lib.train.host_copies import HostCopies, storages
from unix_lib.train.log import StepLog
from unix_lib.train.measurements import Measurements
from unix_lib.train.processes import Processes, gathered
from unix_lib.train.random_state import random_file, random_state
from unix_lib.train.shards import Shard, deepspeed_shards, write_shards
from unix_lib.train.state import Progress
from unix_lib.train.trainer import SegmentTrainer


class SaveError(Exception):
    """Why a state was not saved, the same on all processes."""


@dataclass(frozen=True)
class Writing:
    """A state that this process's thread writes."""

    folder: Path
    step: int
    entries: Future[dict[Path, Entry]]


class StateWriter:
    """Its methods are called on all processes together."""

    def __init__(  # noqa: PLR0917
        self,
        trainer: SegmentTrainer,
        steps: StepLog,
        measurements: Measurements,
        processes: Processes,
        numerics: state.Numerics,
        lock: Lock | None,
    ) -> None:
        """The run's lock is held by the first process."""
        self.trainer, self.steps, self.measurements = trainer, steps, measurements
        self.processes, self.numerics, self.lock = processes, numerics, lock
        self._thread = ThreadPoolExecutor(1, "states")
        self._copies = HostCopies()
        self._prepared: Future[None] | None = None

    def prepare(self, folder: Path) -> None:
        """Have the thread allocate the memory of copies; after a step, since the optimizer has no state before."""
        part = folder_before(folder)
        if self.processes.first:
            self._check_lock()
            open_folder(folder)
        sizes = [piece.nbytes() for piece in storages(self._shards(part))]
        if self.processes.first:
            remove(part)
        self._prepared = self._thread.submit(self._copies.allocate, sizes)

    def begin(self, folder: Path, step: int, *, copied: bool) -> Writing:
        """Begin to write the state after a step.

        Args:
            copied: into host memory first, so that training may go on. Else nothing may change before `finish`.

        Raises:
            LockError: another process has taken the run over.
            SaveError: it does not fit on the disk.
        """
        part = folder_before(folder)
        if self.processes.first:
            self._check_lock()
            open_folder(folder)
        shards = self._shards(part)
        self._check_space(part, shards)
        if copied and self._prepared is not None:
            self._prepared.result()
        own = self._own_files(part, step) if self.processes.first else dict[Path, Entry]
        written = self._copies.take(shards) if copied else shards
        return Writing(folder, step, self._thread.submit(write_shards, written, own))

    def finish(self, writing: Writing) -> None:
        """Give a state its seal and its name, once every process has written its files.

        Raises:
            LockError: another process has taken the run over.
            SaveError: one of them could not.
        """
        error = writing.entries.exception()
        if not isinstance(error, None | OSError | RuntimeError):  # torch.save makes a RuntimeError of a full disk
            raise error
        told = gathered(self.processes, ({} if error else writing.entries.result(), repr(error) if error else ""))
        outcomes, faults = [entries for entries, _ in told], [fault for _, fault in told if fault]
        if self.processes.first:
            self._check_lock()
            if faults:
                remove(folder_before(writing.folder))
            else:
                finish_folder(writing.folder, known=ChainMap(*outcomes))
        if faults:
            raise SaveError(faults[0])

    def _shards(self, part: Path) -> list[Shard]:
        """What this process writes with `torch.save`."""
        random = Shard(random_file(part, self.processes.rank), random_state())
        return [*deepspeed_shards(self.trainer.engine, part / state.DEEPSPEED), random]

    def _check_lock(self) -> None:
        if self.lock is not None:
            self.lock.check()

    def _check_space(self, part: Path, shards: list[Shard]) -> None:
        tensors = self.measurements.bytes_kept
        tensors += sum(piece.nbytes() for shard in shards for piece in storages(shard.content))
        asked = gathered(self.processes, (tensors, free_bytes(part) if self.processes.first else 0))
        fault = space_fault(part.parent, sum(tensors for tensors, _ in asked), asked[0][1])
        if fault is not None:
            if self.processes.first:
                remove(part)
            raise SaveError(fault)

    def _own_files(self, part: Path, step: int) -> Callable[[], dict[Path, Entry]]:
        """What writes the first process's files as they are now, also while training goes on."""
        config = self.trainer.engine.module.config
        write_log, write_measurements = self.steps.state_writer(), self.measurements.state_writer()
        tokens, best = self.steps.tokens, self.measurements.best

        def write() -> dict[Path, Entry]:
            config.save_pretrained(part)
            write_log(part)
            state.write_progress(part, self._progress(step, tokens, best))
            return write_measurements(part)

        return write

    def _progress(self, step: int, tokens: int, best: state.Best | None) -> Progress:
        stream = self.trainer.stream
        packs = step * stream.share.packs_per_step
        return Progress(
            step=step,
            packs=packs,
            tokens=tokens,
            best=best,
            next_batch=stream.fingerprint(packs),
            run_digest=self.steps.settings.run_digest,
            **vars(self.numerics),
        )
