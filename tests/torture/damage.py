"""Damage to files: what disks, copies and careless hands do to them."""

import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

OTHER_USER = 65534  # without rights: runs jobs where this one is root, who ignores modes
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


@cache
def can_mount() -> bool:
    """Whether file systems can be mounted here: as root, outside most containers."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            _mount("-t", "tmpfs", "tmpfs", folder)
        except OSError:
            return False
        subprocess.run(["umount", folder], check=True)
    return True


@cache
def can_be_another(*, same_python: bool = False) -> bool:
    """Whether modes count for the processes that are started: for those of another user, where this one is root.

    Args:
        same_python: that user must find the same Python, whose own texts are data.
    """
    if os.geteuid() != 0:
        return True
    command = ["setpriv", f"--reuid={OTHER_USER}", f"--regid={OTHER_USER}", "--clear-groups", sys.executable]
    version = "import platform; print(platform.python_version())"
    ran = subprocess.run([*command, "-c", version], capture_output=True, text=True, check=False)
    return ran.returncode == 0 and (not same_python or ran.stdout.strip() == platform.python_version())


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


@contextmanager
def read_only(folder: Path) -> Iterator[Callable[[], None]]:
    """Have a folder refuse what would be written into it, as root by a mount, else by its mode; gives the way back."""
    mode, by_mount, changed = folder.stat().st_mode, os.geteuid() == 0, True
    if by_mount:
        _mount("--bind", str(folder), str(folder))
        _mount("-o", "remount,bind,ro", str(folder))
    else:
        folder.chmod(0o555)

    def back() -> None:
        nonlocal changed
        if changed and by_mount:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        elif changed:
            folder.chmod(mode)
        changed = False

    try:
        yield back
    finally:
        back()


def _mount(*arguments: str) -> None:
    ended = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if ended.returncode:
        raise OSError(f"mount {' '.join(arguments)}: {ended.stderr.strip()}")
