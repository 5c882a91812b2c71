"""SHA-256 of files from outside, remembered from plan to plan: a plan over a million images costs a stat each.

A digest is remembered with size, times of content and of status: the last can't be set, so that an edit that puts the
modification time back is seen.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from unix_lib.artefacts.files import sha256_of, write_text
from unix_lib.artefacts.sealed import SealError, open_sealed, sealed_text
from unix_lib.config.folders import is_regular

UNREADABLE = "unreadable"  # in place of a digest
UNSETTLED = 2_000_000_000  # nanoseconds in which another edit may get the same times from the file system


class FileHashes:
    """Digests of files, kept in a file between plans; `None` keeps them no longer than this object."""

    def __init__(self, cache: Path | None) -> None:
        self._cache = cache
        self._known = {} if cache is None else _read(cache)
        self._changed = False
        self._unsettled: set[str] = set()  # not kept
        self._looked_at: dict[str, list[int]] = {}

    def of(self, path: Path) -> str:
        """A file's digest, hexadecimal; see `size_and_digest`."""
        return self.size_and_digest(path)[1]

    def size_and_digest(self, path: Path) -> tuple[int, str]:
        """Bytes and SHA-256 of a file; 0 and `UNREADABLE` of what can't be read to an end."""
        name = str(path)
        try:
            if is_regular(path):
                stamp = _stamp(path)
                digest = self.remembered(name, stamp, lambda: self._digest(path, stamp))
                self._looked_at[name] = stamp
                return stamp[0], digest
        except OSError:
            self._known.pop(name, None)
        return 0, UNREADABLE

    def remembered(self, name: str, stamp: list[Any], compute: Callable[[], str]) -> str:
        """A digest that was computed before under the same stamp (JSON values), or is computed now."""
        known = self._known.get(name)
        if known is not None and known[:-1] == stamp:
            return str(known[-1])
        digest = compute()
        self._known[name] = [*stamp, digest]
        self._changed = True
        return digest

    def written_since(self) -> Iterator[str]:
        """Files that were written to, touched or removed after they were looked at first."""
        for name, stamp in self._looked_at.items():
            try:
                same = _stamp(Path(name))[:2] == stamp[:2]
            except OSError:
                same = False
            if not same:
                yield name

    def save(self) -> None:
        """Keep the digests; where nothing may be written they are computed again, which costs time only."""
        if self._changed and self._cache is not None:
            kept = {name: of for name, of in self._known.items() if name not in self._unsettled}
            with contextlib.suppress(OSError):
                write_text(self._cache, sealed_text({"files": kept}, indent=None))
            self._changed = False

    def _digest(self, path: Path, stamp: list[int]) -> str:
        digest = sha256_of(path)
        if _stamp(path) != stamp or abs(time.time_ns() - stamp[1]) < UNSETTLED:
            self._unsettled.add(str(path))
        else:
            self._unsettled.discard(str(path))
        return digest


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _read(cache: Path) -> dict[str, list[Any]]:
    """What was kept; nothing where that is damaged: a wrong digest would give recipes that no job agrees with."""
    try:
        values, proven = open_sealed(cache, "")
    except (OSError, SealError):
        return {}
    return dict(values["files"]) if proven else {}
