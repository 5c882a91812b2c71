"""Files that are either whole or absent: hashing and atomic writing."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

CHUNK = 1 << 20
PARTS = ".*.part"  # what `atomic_path` writes to, and leaves behind where it was killed


def sha256_of(path: Path, advance: Callable[[int], None] = lambda size: None) -> str:
    """SHA-256 of a file's bytes, hexadecimal; `advance` is told how many were read, piece by piece."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        view = memoryview(bytearray(min(CHUNK, max(4096, os.fstat(file.fileno()).st_size + 1))))
        while size := file.readinto(view):
            digest.update(view[:size])
            advance(size)
    return digest.hexdigest()


def flush(path: Path) -> None:
    """Have the disk hold a file's bytes before anything says that they are whole."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def file_fault(
    path: Path, size: int, sha256: str | None, advance: Callable[[int], None] = lambda size: None
) -> str | None:
    """What is wrong with a file that should have that many bytes and that SHA-256 (None: any), or None.

    Raises:
        PermissionError: nobody knows; what this user may not read is not damaged.
    """
    try:
        found = path.stat().st_size
        if not path.is_file():
            return f"{path}: no file"
        if found != size:
            return f"{path}: {found} bytes instead of {size}"
        if sha256 is not None and sha256_of(path, advance) != sha256:
            return f"{path}: content differs from its sha256"
    except FileNotFoundError:
        return f"{path}: missing"
    except PermissionError:
        raise
    except OSError as error:
        return f"{path}: can't be read ({error.strerror})"
    return None


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, no NaN. What digests are taken of."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(value: Any) -> str:
    """SHA-256 of a value's canonical JSON, hexadecimal."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; flush it to disk and rename it when the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        flush(temporary)
        set_mode(temporary, 0o644)
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems flush files only
            os.fsync(handle)
    finally:
        os.close(handle)


def set_mode(path: Path, mode: int) -> None:
    """Change what may be done with a file or folder, where the file system knows such a thing."""
    with suppress(OSError):
        path.chmod(mode)


def point_link(link: Path, target: Path) -> bool:
    """Make a symbolic link, or point an old one elsewhere, at once; False where the file system has no links."""
    link.parent.mkdir(parents=True, exist_ok=True)
    temporary = link.with_name(f".{link.name}.{os.getpid()}.part")
    try:
        temporary.symlink_to(target)
    except OSError:
        return False
    os.replace(temporary, link)
    return True


def link_or_copy(origin: Path, path: Path) -> None:
    """Give a file a second name, or copy it where it can't have one: on another disk, or another user's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.hardlink_to(origin.resolve())
    except OSError:
        shutil.copyfile(origin, path)


def unlink_shared(folder: Path) -> None:
    """Remove files of a folder that have names elsewhere too: what is written here next must not reach them."""
    for path in folder.rglob("*"):
        if path.is_file() and path.lstat().st_nlink > 1:
            path.unlink()


def replace_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8, which readers see whole. Unlike `write_text` nothing is flushed to disk, which for
    hundreds of recipes would take minutes on a cluster's file system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def replace_where_changed(path: Path, text: str) -> None:
    """`replace_text` where something else stands there, damage included."""
    if not path.is_file() or path.read_bytes() != text.encode():
        replace_text(path, text)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write readable JSON atomically."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")
