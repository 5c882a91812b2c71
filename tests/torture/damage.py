"""Damage to files: what disks, copies and careless hands do to them."""

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

YEAR = 365 * 86400.0


def truncate(path: Path, draw: random.Random) -> None:
    """Cut a file at a random length; an empty one is removed."""
    size = path.stat().st_size
    if size == 0:
        path.unlink()
    else:
        os.truncate(path, draw.randrange(size))


def flip(path: Path, draw: random.Random) -> None:
    """Flip one to three bits of a file, a read-only one in half of the cases; an empty file gets a byte."""
    data = bytearray(path.read_bytes())
    if not data:
        data.append(draw.randrange(256))
    for position in draw.sample(range(len(data) * 8), min(draw.randint(1, 3), len(data))):
        data[position // 8] ^= 1 << position % 8
    mode = draw.choice((0o444, 0o644))
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(mode)


def delete(path: Path, draw: random.Random) -> None:
    path.unlink()


Damage = Callable[[Path, random.Random], None]


def change_times(folder: Path, draw: random.Random) -> None:
    """Put the times of all files and folders in the past or the future."""
    now = time.time()
    for path in [folder, *folder.rglob("*")]:
        stamp = now + draw.uniform(-10 * YEAR, 10 * YEAR)
        os.utime(path, (stamp, stamp), follow_symlinks=False)


@contextmanager
def small_disk(folder: Path, free: int) -> Iterator[Callable[[], None]]:
    """Put a folder on a tmpfs with so many bytes free; gives the function that makes it large.

    Raises:
        OSError: no tmpfs can be mounted here.
    """
    aside = folder.with_name(f"{folder.name}.aside")
    folder.rename(aside)
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", "size=4g", "tmpfs", str(folder))
    try:
        subprocess.run(["cp", "-a", f"{aside}/.", str(folder)], check=True)
        status = os.statvfs(folder)
        used = (status.f_blocks - status.f_bfree) * status.f_frsize
        _mount("-o", f"remount,size={used + free}", str(folder))
        yield lambda: _mount("-o", "remount,size=4g", str(folder))
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()
        aside.rename(folder)


def _mount(*arguments: str) -> None:
    ended = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if ended.returncode:
        raise OSError(f"mount {' '.join(arguments)}: {ended.stderr.strip()}")
