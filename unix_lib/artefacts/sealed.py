"""Seals: they say that files are whole whose bytes don't repeat, and which no manifest can list for that reason.

A *sealed folder* holds `hashes.json`, written last: sizes and SHA-256 of all its files. Whatever a killed job resumes
from lies in such folders. A *sealed file* is JSON with a SHA-256 of its own text: settings and caches that are written
anew now and then.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import file_fault, flush, sha256_of, write_json
from unix_lib.artefacts.hashed import Entry

HASHES = "hashes.json"
SEAL = "seal"  # key of a sealed file
SEALED_FILES = (".json", ".pruned")  # suffixes

logger = logging.getLogger(__name__)


class SealError(UserError):
    """A sealed file that isn't what was written."""


def folder_before(folder: Path) -> Path:
    """Where a sealed folder is written until it is whole."""
    return folder.with_name(f".{folder.name}")


@contextmanager
def sealed_folder(folder: Path, also: Sequence[Path] = ()) -> Iterator[Path]:
    """Give an empty folder, which becomes `folder`, sealed, when the block succeeds.

    `also` are files outside it that the same seal covers, by their paths relative to the folder.
    """
    yield open_folder(folder)
    finish_folder(folder, also)


def open_folder(folder: Path) -> Path:
    """Make the empty folder that `finish_folder` turns into `folder`."""
    before = folder_before(folder)
    remove(before)
    before.mkdir(parents=True)
    return before


def finish_folder(folder: Path, also: Sequence[Path] = (), known: Mapping[Path, Entry] = MappingProxyType({})) -> None:
    """Seal what was written and give it its name; `also` and `known` as for `seal`."""
    before = folder_before(folder)
    seal(before, also, known)
    remove(folder)
    before.rename(folder)


def seal(folder: Path, also: Sequence[Path] = (), known: Mapping[Path, Entry] = MappingProxyType({})) -> None:
    """Flush files to disk and write their sizes and hashes: the folder's last file.

    `known` are files that the disk holds and that were hashed while they were written.
    """
    entries = {}
    for path in (*_files(folder), *also):
        if path not in known:
            flush(path)
        entry = known.get(path) or Entry(path.stat().st_size, sha256_of(path))
        entries[_name(path, folder)] = entry._asdict()
    write_json(folder / HASHES, entries)


def read_seal(folder: Path) -> dict[Path, tuple[int, str]]:
    """Files of a sealed folder with their sizes and SHA-256.

    Raises:
        SealError: there is no seal, it can't be read, or the folder holds files that it doesn't list.
        PermissionError: what this user may not read is not damaged.
    """
    try:
        entries = json.loads((folder / HASHES).read_text(encoding="utf-8"))
        listed = {folder / name: (int(entry["bytes"]), str(entry["sha256"])) for name, entry in entries.items()}
    except (FileNotFoundError, NotADirectoryError):
        raise SealError(f"{folder}: no {HASHES}, so it was never finished") from None
    except PermissionError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SealError(f"{folder / HASHES}: unreadable ({type(error).__name__})") from None
    for path in _files(folder):
        if path not in listed:
            raise SealError(f"{path}: not in the folder's {HASHES}")
    return listed


def seal_fault(folder: Path) -> str | None:
    """What is wrong with a sealed folder's files, or None."""
    try:
        faults = (file_fault(path, *entry) for path, entry in read_seal(folder).items())
        return next((fault for fault in faults if fault is not None), None)
    except SealError as error:
        return str(error)


def is_whole(folder: Path) -> bool:
    """Whether a sealed folder is there and whole; one that is there but damaged is named in a warning."""
    if not os.path.lexists(folder):
        return False
    fault = seal_fault(folder)
    if fault is not None:
        logger.warning("damaged, and computed again: %s", fault)
    return fault is None


def remove(path: Path) -> None:
    """Remove a folder, or what lies in its place; nothing where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / HASHES)


def _name(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def sealed_text(values: dict[str, Any], indent: int | None = 2) -> str:
    """The JSON text (ASCII) of some values with its own SHA-256 among them, taken while that was empty."""

    def text(seal: str) -> str:
        return json.dumps(values | {SEAL: seal}, indent=indent, sort_keys=True, allow_nan=False) + "\n"

    return text(hashlib.sha256(text("").encode()).hexdigest())


def is_sealed(text: str, values: dict[str, Any]) -> bool | None:
    """Whether a text, which holds `values`, is as `sealed_text` wrote it; None where it has no seal."""
    if SEAL not in values:
        return None
    seal = str(values[SEAL])
    return hashlib.sha256(text.replace(json.dumps(seal), '""', 1).encode()).hexdigest() == seal


def open_sealed(path: Path, remedy: str) -> tuple[dict[str, Any], bool]:
    """The values of a sealed file, and whether it has a seal at all, which those of an earlier version have not.

    Raises:
        SealError: it was changed, or is no JSON object. FileNotFoundError: there is none.
    """
    try:
        text = path.read_bytes().decode()
        values: dict[str, Any] = json.loads(text)
        if not isinstance(values, dict):
            raise TypeError
        whole = is_sealed(text, values)
    except (ValueError, TypeError, RecursionError) as error:
        raise SealError(f"{path}: unreadable ({type(error).__name__}); {remedy}") from None
    if whole is False:
        raise SealError(f"{path}: was changed after it was written; {remedy}")
    return {name: value for name, value in values.items() if name != SEAL}, whole is not None


def read_sealed(path: Path, remedy: str) -> dict[str, Any]:
    """`open_sealed` where a file without seal will do; that it has none is said in a warning."""
    values, proven = open_sealed(path, remedy)
    if not proven:
        logger.warning("%s: has no seal, so nothing proves what it says", path)
    return values
