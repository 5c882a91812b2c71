"""Ways to damage a file, as disks, full file systems and people do."""

import json
import os
from collections.abc import Callable
from pathlib import Path


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) * 2 // 3] ^= 4
    path.write_bytes(data)


def _not_utf8(path: Path) -> None:
    path.write_bytes(b"\xff" + path.read_bytes())


DAMAGES: dict[str, Callable[[Path], object]] = {
    "flipped": _flip,
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "not UTF-8": _not_utf8,
    "other JSON": lambda path: path.write_text("[]"),
    "deep JSON": lambda path: path.write_text("[" * 100_000),
    "missing": Path.unlink,
}


def damage(path: Path, how: str) -> None:
    """Damage a file, which may be read-only, without its time telling."""
    status, before = path.stat(), path.read_bytes()
    path.chmod(0o644)
    DAMAGES[how](path)
    if how != "missing":
        assert path.read_bytes() != before
        path.chmod(status.st_mode)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def files_in(folder: Path) -> list[Path]:
    """All files below a folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def flip_bit(path: Path, bit: int) -> None:
    """Flip one bit of a file, counted from its beginning."""
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.chmod(0o644)
    path.write_bytes(data)


def sealed_values(path: Path) -> dict[str, object]:
    """What a sealed file says."""
    values: dict[str, object] = json.loads(path.read_text())
    del values["seal"]
    return values
