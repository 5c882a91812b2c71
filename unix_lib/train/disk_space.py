"""Whether a state fits on the disk, asked before it is written."""

import shutil
from pathlib import Path

MARGIN = 1.02  # what the tables, the seal and the file system itself take beside the tensors


def free_bytes(folder: Path) -> int:
    """What this user may still write there."""
    return shutil.disk_usage(folder).free


def space_fault(folder: Path, tensors: int, free: int) -> str | None:
    """Why a state of that many bytes of tensors can't be written, given the free ones, or None."""
    needed = int(tensors * MARGIN)
    if needed <= free:
        return None
    return (
        f"{folder}: the state needs {needed:,} bytes and the disk has {free:,} free; make room, for instance with "
        "`unix-lib prune results/<experiment> --states --delete`"
    )
