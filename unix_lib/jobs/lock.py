"""One writer: a lock file, held by the one process that writes an artefact or a run, that says who it is.

The kernel's lock on the file (flock) ends with the process, however it ends, also where nobody reaps it, and containers
of one machine and, on most of them, the nodes of a network file system share it. Where nodes don't, both can get it:
so a thread of the holder renews the file's time too, and a holder on another host that did not give its lock up counts
until the file was untouched for `STALE_SECONDS`; one that comes back after that (SLURM may have suspended it) finds
itself replaced and stops. Times are compared with a file written just now, so hosts need no common clock.
"""

import errno
import fcntl
import json
import logging
import os
import platform
import threading
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from unix_lib.artefacts.errors import UserError

RENEW_SECONDS = 60.0
STALE_SECONDS = 900.0  # ASSUME: no network file system hides a file's new time for fifteen minutes
POLL_SECONDS = 1.0
REPEAT_SECONDS = 300.0  # between two lines that say who is waited for

HANDED_OVER = "UNIX_LOCKS"  # in the environment: tokens of locks that the launcher of this process holds

logger = logging.getLogger(__name__)


class LockError(UserError):
    """A lock that another process holds, or took over."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock."""

    token: str
    host: str
    pid: int
    slurm_job: str | None

    def __str__(self) -> str:
        job = f", SLURM job {self.slurm_job}" if self.slurm_job else ""
        return f"process {self.pid} on {self.host}{job}"


def read_holder(path: Path) -> Holder | None:
    """Who wrote a lock file last; None where nobody did, gave it up, or did not live to write it whole."""
    try:
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


class Lock:
    """Held with `with Lock(path):`, which waits while another process that lives holds it.

    With `wait=False` that is a `LockError` instead.
    """

    def __init__(self, path: Path, *, wait: bool = True) -> None:
        self.path, self._wait = path, wait
        self.holder = Holder(uuid.uuid4().hex, platform.node(), os.getpid(), os.environ.get("SLURM_JOB_ID"))
        self._file: int | None = None
        self._given_up = threading.Event()

    def __enter__(self) -> "Lock":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        said_at: float | None = None
        while (other := self._take()) is not None:
            if not self._wait:
                raise LockError(f"{self.path}: {other} is at work on this")
            if said_at is None or time.monotonic() - said_at >= REPEAT_SECONDS:
                logger.warning("%s: %s is at work on this; waiting until it ends, or is stopped", self.path, other)
                said_at = time.monotonic()
            time.sleep(POLL_SECONDS)
        threading.Thread(target=self._keep_renewing, daemon=True).start()
        return self

    def _take(self) -> Holder | str | None:
        """Take the lock; returns who is in the way, None once it is taken."""
        held = read_holder(self.path)
        if held is not None and held.token in os.environ.get(HANDED_OVER, ""):
            self.holder = held
            return None
        file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not _lock(file):
                return read_holder(self.path) or "another process"
            if not self._is_mine(file):
                return "another process"  # it gave up the file that was opened: the next try opens the new one
            other = read_holder(self.path)
            if other is not None and other.host != self.holder.host and not self._untouched():
                return other
            os.ftruncate(file, 0)
            os.pwrite(file, (json.dumps(asdict(self.holder)) + "\n").encode(), 0)
            self._file, file = file, -1
            return None
        finally:
            if file >= 0:
                os.close(file)

    def _is_mine(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), self.path.stat())
        except FileNotFoundError:
            return False

    def _untouched(self) -> bool:
        """Whether the file was not renewed for `STALE_SECONDS`."""
        now = self.path.with_name(f".{self.path.name}-{self.holder.token}.part")
        now.touch()
        try:
            return now.stat().st_mtime - self.path.stat().st_mtime >= STALE_SECONDS
        finally:
            now.unlink()

    def _keep_renewing(self) -> None:
        while not self._given_up.wait(RENEW_SECONDS) and read_holder(self.path) == self.holder:
            os.utime(self.path)

    def hand_over(self, environment: dict[str, str]) -> None:
        """Keep the lock in the program that this process becomes; a process that it starts writes in its name."""
        assert self._file is not None
        os.set_inheritable(self._file, True)
        environment[HANDED_OVER] = f"{environment.get(HANDED_OVER, '')} {self.holder.token}"

    def check(self) -> None:
        """See that the lock is still this process's; called before each save.

        Raises:
            LockError: another process has taken it over.
        """
        if read_holder(self.path) != self.holder:
            raise LockError(f"{self.path}: another process took this over; nothing more is written by this one")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._given_up.set()
        if read_holder(self.path) == self.holder:
            self.path.unlink(missing_ok=True)
        if self._file is not None:
            os.close(self._file)


def _lock(file: int) -> bool:
    """Lock an open file; False where another process holds it. A file system without locks leaves it to the times."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL):
            raise
    return True
