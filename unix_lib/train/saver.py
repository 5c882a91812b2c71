"""Writes and loads the states of a segment; see `unix_lib.train.state` for what a state holds."""

import logging
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from unix_lib.artefacts.saves import prune_saves, save_folder
from unix_lib.artefacts.sealed import folder_before, sealed_folder
from unix_lib.config.train import TrainExecution
from unix_lib.jobs.lock import Lock
from unix_lib.train import state
from unix_lib.train.errors import TrainError
from unix_lib.train.log import StepLog
from unix_lib.train.measurements import Measurements
from unix_lib.train.processes import Processes
from unix_lib.train.state import Progress, State
from unix_lib.train.trainer import SegmentTrainer

logger = logging.getLogger(__name__)

TAG = "state"  # DeepSpeed's name for the checkpoint inside its folder


class StateSaver:
    """Saves on all processes together; the first one, which holds the run's lock, writes what is written once."""

    def __init__(  # noqa: PLR0917
        self,
        trainer: SegmentTrainer,
        steps: StepLog,
        measurements: Measurements,
        execution: TrainExecution,
        processes: Processes,
        work: Path,
        lock: Lock | None,
    ) -> None:
        """Prepare a segment's saves into `work` and its artefact; the run's lock is held by the first process."""
        self.trainer, self.steps, self.measurements = trainer, steps, measurements
        self.execution, self.processes = execution, processes
        self.work, self.lock = work, lock
        self.start_clock()

    def start_clock(self) -> None:
        """Count the time to the next save from now."""
        self._saved_at = time.monotonic()

    def wish(self) -> float:
        """1 where a save is due; only the first process has the clock that counts."""
        due = time.monotonic() - self._saved_at >= self.execution.save_seconds
        return float(self.processes.first and due)

    def save_work(self, step: int) -> None:
        """Write a state that a killed job resumes from."""
        self.save(save_folder(self.work, step), step)
        if self.processes.first:
            prune_saves(self.work, step)

    def save(self, folder: Path, step: int) -> None:
        """Write the state after a step; it exists when it is whole.

        Raises:
            LockError: another process has taken the run over.
        """
        first = self.processes.first
        if self.lock is not None:
            self.lock.check()
        with sealed_folder(folder) if first else nullcontext(folder_before(folder)) as part:
            self._wait()
            self.trainer.engine.save_checkpoint(str(part / state.DEEPSPEED), tag=TAG, save_latest=False)
            torch.save(_random_state(), part / f"random-{self.processes.rank:05d}.pt")
            if first:
                self.trainer.engine.module.config.save_pretrained(part)
                self.steps.write_state(part)
                self.measurements.write_state(part)
                state.write_progress(part, self._progress(step))
            self._wait()
        self._wait()
        self.start_clock()

    def _progress(self, step: int) -> Progress:
        stream = self.trainer.stream
        packs = step * stream.share.packs_per_step
        return Progress(
            step=step,
            packs=packs,
            tokens=self.steps.tokens,
            best=self.measurements.best,
            next_batch=stream.fingerprint(packs),
            world_size=self.processes.world_size,
            zero_stage=self.execution.zero_stage,
            precision=self.execution.precision,
        )

    def load(self, start: State) -> None:
        """Put weights, optimizer and random numbers where a state says, on all processes together.

        Raises:
            TrainError: it was written with numeric settings that its files depend on, or for other packs, or DeepSpeed
                can't load it.
        """
        self._check_numerics(start)
        packs = start.progress.packs
        if self.trainer.stream.fingerprint(packs) != start.progress.next_batch:
            raise TrainError(
                f"{start.folder}: the packs at position {packs} are not those the run was trained with; "
                "delete the pack artefact and this run's checkpoints and saves, and run again"
            )
        loaded, _ = self.trainer.engine.load_checkpoint(
            str(start.folder / state.DEEPSPEED), tag=TAG, load_lr_scheduler_states=False
        )
        if loaded is None:
            raise TrainError(f"{start.folder}: DeepSpeed could not load it; delete it to start from an earlier state")
        random = start.folder / f"random-{self.processes.rank:05d}.pt"
        if random.is_file():
            _restore_random_state(torch.load(random, weights_only=True))
        logger.info("%s continues at step %d from %s", self.steps.settings.run, start.progress.step, start.folder)

    def _check_numerics(self, start: State) -> None:
        """DeepSpeed's shards fit the number of processes that wrote them."""
        saved = (start.progress.zero_stage, start.progress.precision, start.progress.world_size)
        wanted = (self.execution.zero_stage, self.execution.precision, self.processes.world_size)
        if saved[:2] != wanted[:2] or (saved != wanted and saved[0] > 0):
            raise TrainError(
                f"{start.folder} was written with ZeRO stage {saved[0]}, {saved[1]} and {saved[2]} process(es), this "
                f"job has stage {wanted[0]}, {wanted[1]} and {wanted[2]}; set train back to those values, or delete "
                "that folder to train from an earlier state"
            )

    def _wait(self) -> None:
        if self.processes.world_size > 1:
            torch.distributed.barrier()


def _random_state() -> dict[str, Any]:
    return {
        "cpu": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _restore_random_state(saved: dict[str, Any]) -> None:
    torch.set_rng_state(saved["cpu"])
    if torch.cuda.is_available() and len(saved["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(saved["cuda"])
