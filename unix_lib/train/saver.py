"""When the states of a segment are saved; see `state` for what one holds, `state_writer` for how it is written.

A save between checkpoints holds training up for as long as its copy into host memory takes; it is written and hashed
while training goes on. That all processes have written theirs travels with the step's one synchronisation; then the
first one seals the folder. Until then the state does not exist, and the saves before it stay.
"""

import logging
import time
from pathlib import Path

from unix_lib.artefacts.saves import prune_saves, save_folder
from unix_lib.train.errors import TrainError
from unix_lib.train.state_writer import SaveError, StateWriter, Writing

logger = logging.getLogger(__name__)


class StateSaver:
    """Saves on all processes together, at most one state at a time."""

    def __init__(self, writer: StateWriter, work: Path, save_seconds: int) -> None:
        """Save into `work` every so many seconds, by the clock of the first process."""
        self.writer, self.work, self.save_seconds = writer, work, save_seconds
        self._writing: Writing | None = None
        self._prepared = False
        self.start_clock()

    def start_clock(self) -> None:
        """Count the time to the next save from now."""
        self._saved_at = time.monotonic()

    def wishes(self) -> tuple[float, float]:
        """1 where a save is due, and where this process has written the one that is under way."""
        if self._writing is not None:
            return 0.0, float(self._writing.entries.done())
        due = time.monotonic() - self._saved_at >= self.save_seconds
        return float(self.writer.processes.first and due), 0.0

    def after_step(self, step: int, due: float, written: float) -> None:
        """Begin a save, or end the one that all processes have written, given the sums of their wishes."""
        if not self._prepared:
            self.writer.prepare(save_folder(self.work, step))
            self._prepared = True
        if written == self.writer.processes.world_size:
            self.settle()
        elif due:
            self.start_clock()
            try:
                self._writing = self.writer.begin(save_folder(self.work, step), step, copied=True)
            except SaveError as error:
                self._say_failed(step, error)

    def settle(self) -> None:
        """Wait for the save that is under way and end it."""
        writing, self._writing = self._writing, None
        if writing is None:
            return
        try:
            self.writer.finish(writing)
        except SaveError as error:
            self._say_failed(writing.step, error)
        else:
            self._prune(writing.step)

    def save_work(self, step: int) -> None:
        """Write a state that a later process resumes from, and wait for it."""
        self.save(save_folder(self.work, step), step)
        self._prune(step)

    def save(self, folder: Path, step: int) -> None:
        """Write the state after a step; on return it exists and is whole.

        Raises:
            LockError: another process has taken the run over.
            TrainError: it does not fit on the disk, or can't be written.
        """
        self.settle()
        try:
            self.writer.finish(self.writer.begin(folder, step, copied=False))
        except SaveError as error:
            raise TrainError(
                f"step {step} can't be saved: {error}. The states saved before stay; run the same command again"
            ) from error

    def _prune(self, step: int) -> None:
        if self.writer.processes.first:
            prune_saves(self.work, step)

    def _say_failed(self, step: int, error: SaveError) -> None:
        if self.writer.processes.first:
            logger.warning("step %d is not saved, the saves before it stay and training goes on: %s", step, error)
