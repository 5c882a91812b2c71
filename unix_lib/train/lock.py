"""One writer per run: a lock file that names its holder.

A killed holder leaves its lock behind. On the same host it is recognised by its process being gone (pid and start
time, since pids are used again). On another host nothing can be seen of it, so a holder renews the file's time,
and a lock untouched for `STALE_SECONDS` counts as left behind; a holder that comes back after that finds itself
replaced and stops. A SLURM job waits for that sign of life or its absence, since its retries would be used up long
before; anybody else is refused at once. Times are compared with a file written just now, so hosts need no common clock.
"""

import json
import logging
import os
import platform
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from unix_lib.train.errors import TrainError

STALE_SECONDS = 1800.0  # ASSUME: a step, a save and a measurement together never take half an hour
RENEW_SECONDS = 60.0
POLL_SECONDS = 5.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Holder:
    """Who holds a lock."""

    token: str
    host: str
    pid: int
    process_start: str  # clock ticks after boot, tells two processes of one pid apart
    slurm_job: str | None

    def __str__(self) -> str:
        job = f", SLURM job {self.slurm_job}" if self.slurm_job else ""
        return f"process {self.pid} on {self.host}{job}"


def _process_start(pid: int) -> str:
    """Start time of a process in clock ticks since boot; empty where it can't be known or the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return ""
    return text.rsplit(")", 1)[1].split()[19]


def _alive(pid: int, process_start: str) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return not process_start or _process_start(pid) in ("", process_start)


class RunLock:
    """Held with `with RunLock(folder):` by the one process that writes a run's states."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "lock.json"
        self.holder = Holder(
            token=uuid.uuid4().hex,
            host=platform.node(),
            pid=os.getpid(),
            process_start=_process_start(os.getpid()),
            slurm_job=os.environ.get("SLURM_JOB_ID"),
        )
        self._renewed_at = time.monotonic()

    def __enter__(self) -> "RunLock":
        """Take the lock.

        Raises:
            TrainError: somebody else is writing this run; the message names them.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        mine = self.path.with_name(f".lock-{self.holder.token}")
        mine.write_text(json.dumps(asdict(self.holder)) + "\n", encoding="utf-8")
        try:
            for _ in range(2):
                try:
                    os.link(mine, self.path)  # fails if the lock exists; atomic on network file systems too
                    return self
                except FileExistsError:
                    self._set_aside_if_stale(mine)
            raise TrainError(f"{self.path}: another process took the lock just now; run again when it is done")
        finally:
            mine.unlink()

    def _set_aside_if_stale(self, mine: Path) -> None:
        try:
            other: Holder | None = Holder(**json.loads(self.path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return
        except (ValueError, TypeError):
            other = None  # unreadable: written by nobody who still lives
        if other is not None:
            same_host = other.host == self.holder.host
            if _alive(other.pid, other.process_start) if same_host else not self._silent(other, mine):
                raise TrainError(
                    f"{self.path}: this run is being trained by {other}; wait for it or stop it, and if it is gone, "
                    "delete the lock file"
                )
        aside = self.path.with_name(f".stale-{self.holder.token}")
        try:
            os.replace(self.path, aside)
            if other is not None and json.loads(aside.read_text(encoding="utf-8"))["token"] != other.token:
                os.link(aside, self.path)  # somebody took the stale lock first: this one is theirs, put it back
            aside.unlink()
        except FileNotFoundError:
            return

    def _silent(self, other: Holder, mine: Path) -> bool:
        """Whether a holder on another host gave its lock up, or has not renewed it for `STALE_SECONDS`."""
        renewed = None
        while True:
            os.utime(mine)
            try:
                seen = self.path.stat().st_mtime
            except FileNotFoundError:
                return True
            left = STALE_SECONDS - (mine.stat().st_mtime - seen)
            if left <= 0:
                return True
            if self.holder.slurm_job is None or renewed not in (None, seen):
                return False
            if renewed is None:
                logger.info("%s: waiting up to %.0f s for a sign of life of %s", self.path, left, other)
            renewed = seen
            time.sleep(min(POLL_SECONDS, left))

    def refresh(self) -> None:
        """Say that this process still works; called before each save.

        Raises:
            TrainError: another process has taken the lock over.
        """
        try:
            token = json.loads(self.path.read_text(encoding="utf-8"))["token"]
        except (OSError, ValueError, KeyError):
            token = None
        if token != self.holder.token:
            raise TrainError(f"{self.path}: another process took this run over; nothing more is written by this one")
        os.utime(self.path)
        self._renewed_at = time.monotonic()

    def refresh_if_due(self) -> None:
        """`refresh`, every `RENEW_SECONDS`; called after each step, however rarely a run saves."""
        if time.monotonic() - self._renewed_at >= RENEW_SECONDS:
            self.refresh()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if json.loads(self.path.read_text(encoding="utf-8"))["token"] == self.holder.token:
                self.path.unlink()
        except (OSError, ValueError, KeyError):
            pass
