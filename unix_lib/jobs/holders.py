"""Who holds a lock, as far as somebody can tell who only reads: the lock itself is never tried."""

import os
import platform
import re
import time
from pathlib import Path

from unix_lib.jobs.lock import STALE_SECONDS, Holder, read_holder

LOCKS = Path("/proc/locks")  # of Linux: "1: FLOCK  ADVISORY  WRITE 4242 00:2e:1234 0 EOF"
_FLOCK = re.compile(r"FLOCK .* (\d+) [0-9a-f]+:[0-9a-f]+:(\d+) ")


def holder_of(path: Path) -> Holder | None:
    """Who holds a lock file at this moment; None where nobody does, as where the holder was killed.

    On this host the kernel is asked. A holder on another one counts until it has not renewed its lock for
    `STALE_SECONDS`, by the clock of this host.
    """
    holder = read_holder(path)
    try:
        found = path.stat()
    except OSError:
        return None
    if holder is None:
        return None
    if holder.host != platform.node():
        return holder if time.time() - found.st_mtime < STALE_SECONDS else None
    try:
        held = _FLOCK.findall(LOCKS.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return holder if is_alive(holder.pid) else None
    return holder if any(int(inode) == found.st_ino for _, inode in held) else None


def is_alive(pid: int) -> bool:
    """Whether there is such a process on this host."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
