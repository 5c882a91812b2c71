"""How far a running job is, for whoever looks on: a small file beside its work folder, read by other processes.

Written at once or not at all, at most every `RECORD_SECONDS`, and never waited for: a disk that is full, or a file
system that hangs for a moment, must not stop a job for the sake of those who watch it. A job that ends well takes its
record away; one that fails leaves it, so that its last step can be read. Whether a job runs is said by its lock alone.
"""

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path

from unix_lib.artefacts.sealed import SEAL, sealed_text

SUFFIX = ".standing.json"
RECORD_SECONDS = 2.0

_current: ContextVar["Record | None"] = ContextVar("record of the job that this process makes", default=None)


@dataclass(frozen=True)
class Standing:
    """Where a job stands. Times are ISO 8601 with their zone, of the job's host."""

    began: str
    updated: str
    host: str
    pid: int
    slurm_job: str | None = None
    done: int | None = None  # None where the job doesn't count
    total: int | None = None
    unit: str | None = None  # what is counted: "steps", "images", ...
    seconds_left: float | None = None
    values: dict[str, float] = field(default_factory=dict)  # the newest losses, speeds and the like


def standing_path(work: Path) -> Path:
    """The record of a work folder: beside it, since the folder comes and goes."""
    return work.with_name(f"{work.name}{SUFFIX}")


def read_standing(path: Path) -> Standing | None:
    """A job's record; None where there is none, or none of this version."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        values.pop(SEAL, None)
        return Standing(**values)
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def now() -> str:
    """The time as records have it."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


class Record:
    """The record that one process writes."""

    def __init__(self, path: Path) -> None:
        self._path, began = path, now()
        self.standing = Standing(began, began, platform.node(), os.getpid(), os.environ.get("SLURM_JOB_ID"))
        self._write()
        self._written = float("-inf")  # the first word is not kept back

    def note(
        self, done: int, total: int, unit: str, seconds_left: float | None, values: dict[str, float] | None = None
    ) -> None:
        """Say how far the job is; what comes too soon after the last word is kept back, unless it is the end."""
        if done < total and time.monotonic() - self._written < RECORD_SECONDS:
            return
        self.standing = replace(
            self.standing,
            updated=now(), done=done, total=total, unit=unit, seconds_left=seconds_left, values=values or {},
        )  # fmt: skip
        self._write()

    def _write(self) -> None:
        part = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
        with suppress(OSError, ValueError):  # ValueError: a loss that is not finite
            part.write_text(sealed_text(asdict(self.standing)), encoding="utf-8")
            os.replace(part, self._path)
        self._written = time.monotonic()

    def remove(self) -> None:
        with suppress(OSError):
            self._path.unlink()


@contextmanager
def recorded(work: Path) -> Iterator[None]:
    """Keep the record of the job with this work folder while the block runs; a job inside another has none."""
    if _current.get() is not None:
        yield
        return
    record = Record(standing_path(work))
    token = _current.set(record)
    try:
        yield
    finally:
        _current.reset(token)
    record.remove()


def current_record() -> Record | None:
    """The record of the job that this process makes; None outside a job."""
    return _current.get()
