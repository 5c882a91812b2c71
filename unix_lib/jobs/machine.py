"""What a machine refuses a job, in one line: room on a disk, access to a file. Nothing finished is touched by it."""

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from unix_lib.artefacts.errors import UserError

REMEDIES = {
    errno.ENOSPC: "make room there",
    errno.EDQUOT: "make room, or have the quota raised",
    errno.EFBIG: "raise the limit of a file's size (`ulimit -f`)",
    errno.EROFS: "have it mounted for writing",
    errno.EACCES: "give this user access",
    errno.EPERM: "give this user access",
    errno.EMFILE: "raise the limit of open files (`ulimit -n`)",
    errno.EIO: "have the disk looked at",
    errno.ESTALE: "have the file system mounted again",
}
# ASSUME: a library that says nothing of a full disk, as torch does, failed for it where less than this is left.
LITTLE_BYTES = 64e6


class MachineError(UserError):
    """What the machine refused, where, and what to do."""


def refusal(error: Exception, results: Path) -> MachineError | None:
    """What the machine refused; None where the error is none of the machine's.

    Args:
        results: where the job writes, named where the error names no file.
    """
    for cause in _causes(error):
        for number, remedy in REMEDIES.items():
            if (isinstance(cause, OSError) and cause.errno == number) or os.strerror(number) in str(cause):
                place = getattr(cause, "filename", None) or results
                told = f"{place}: {os.strerror(number)}; {remedy}, then run again: what is finished stays"
                return MachineError(told)
    free = shutil.disk_usage(results).free if results.is_dir() else LITTLE_BYTES
    if free < LITTLE_BYTES:
        left = f"only {free / 1e6:.0f} MB left on the disk"
        return MachineError(f"{results}: {left} ({type(error).__name__}); make room, then run again")
    return None


def in_a_line(error: Exception, results: Path) -> str | None:
    """An expected error with its name, the library's own or the machine's; None of any other."""
    told = error if isinstance(error, UserError) else refusal(error, results)
    return None if told is None else f"{type(told).__name__}: {told}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
