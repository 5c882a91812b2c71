"""What a tracker is told of a run, once, in the order of steps, however often the run was stopped.

A curve belongs to a run, not to a job: its segments and attempts, which follow each other, write one. The last step
that a tracker was given stands in a small file (the *mark*), written behind each point. A segment that begins earlier,
because its predecessor was killed after its last save, trains those steps again and tells nobody: they are the same.
What the mark lacks is told first, from the run's own log: so a tracker that is added later has the whole curve.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from unix_lib.config.trackers import Tracking

MARK_CHARACTERS = 12


@dataclass(frozen=True)
class Curve:
    """Whose curve it is, and where its files lie."""

    run: str
    digest: str  # of the run: what all its segments share
    experiment: str
    folder: Path  # of one tracker and run
    tracking: Tracking
    settings: dict[str, Any]  # shown beside the curve

    @property
    def name(self) -> str:
        """As people read it."""
        return f"{self.experiment}/{self.run}"

    @property
    def id(self) -> str:
        """The same for all segments of the run and for no other run."""
        return f"{self.run}-{self.digest[:12]}"


class Tracker(Protocol):
    """One service. It may raise whatever it likes."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Show some values at a step."""

    def close(self) -> None:
        """Write or send what is left."""


class Mark:
    """The last step that a tracker was given, on disk."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(folder / "given", os.O_RDWR | os.O_CREAT, 0o644)
        text = os.pread(self._file, MARK_CHARACTERS, 0).strip()
        self.step = int(text) if text.isdigit() else -1

    def move(self, step: int) -> None:
        """Write one number over another at once: a process that is killed leaves one of the two."""
        os.pwrite(self._file, f"{step:{MARK_CHARACTERS}d}".encode(), 0)

    def close(self) -> None:
        os.close(self._file)
