"""SHA-256 of files from outside, remembered from plan to plan: a plan over a million images costs a stat each.

A digest is remembered with size, times of content and of status: the last can't be set, so that an edit that puts the
modification time back is seen. What an inventory says of a file (`config.inventory`) goes before that.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from unix_lib.artefacts.files import sha256_of, write_text
from unix_lib.artefacts.sealed import SealError, open_sealed, sealed_text
from unix_lib.config.inventory import Inventories, Stamp, stamp_at

UNREADABLE = "unreadable"  # in place of a digest
UNSETTLED = 2_000_000_000  # nanoseconds in which another edit may get the same times from the file system
MUCH = 20 * 10**9  # bytes: a minute's reading of a fast disk

logger = logging.getLogger(__name__)


class FileHashes:
    """Digests of files, kept in a file between plans; `None` keeps them no longer than this object."""

    def __init__(self, cache: Path | None, inventories: Inventories | None = None) -> None:
        self._cache = cache
        self._inventories = inventories
        self._bytes_read = 0
        self._known = {} if cache is None else _read(cache)
        self._changed = False
        self._unsettled: set[str] = set()  # not kept
        self._looked_at: dict[str, Stamp] = {}

    @classmethod
    def of_plan(cls, results: Path) -> "FileHashes":
        """Those that a plan of `results/<experiment>` remembers, and those of inventories."""
        return cls(results / ".file-hashes.json", Inventories(results.parent.parent))

    @property
    def faults(self) -> list[str]:
        """Inventories that are not believed, a line each."""
        return [] if self._inventories is None else self._inventories.faults

    def of(self, path: Path) -> str:
        """A file's digest as it is now, hexadecimal; see `size_and_digest`."""
        return self.size_and_digest(str(path), stamp_at(str(path)))[1]

    def size_and_digest(self, path: str, stamp: Stamp | None) -> tuple[int, str]:
        """Bytes and SHA-256 of a file of some stamp; 0 and `UNREADABLE` of what can't be read to an end."""
        if stamp is not None:
            try:
                digest = None if self._inventories is None else self._inventories.digest(path, stamp)
                digest = digest or self.remembered(path, [*stamp], lambda: self._digest(path, stamp))
                self._looked_at[path] = stamp
                return stamp[0], digest
            except OSError:  # no access, or gone
                pass
        self._known.pop(path, None)
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
            now = stamp_at(name)
            if now is None or now[:2] != stamp[:2]:
                yield name

    def save(self) -> None:
        """Keep the digests; where nothing may be written they are computed again, which costs time only."""
        if self._changed and self._cache is not None:
            kept = {name: of for name, of in self._known.items() if name not in self._unsettled}
            with contextlib.suppress(OSError):
                write_text(self._cache, sealed_text({"files": kept}, indent=None))
            self._changed = False

    def _digest(self, path: str, stamp: Stamp) -> str:
        before, self._bytes_read = self._bytes_read, self._bytes_read + stamp[0]
        if self._inventories is not None and before <= MUCH < self._bytes_read:
            logger.warning(
                "planning reads more than %d GB of files from outside, one after the other; stop it and run `python -m "
                "unix_lib inventory CONFIG`, which reads them side by side, once, and goes on where it stopped",
                MUCH // 10**9,
            )
        digest = sha256_of(Path(path))
        if stamp_at(path) != stamp or abs(time.time_ns() - stamp[1]) < UNSETTLED:
            self._unsettled.add(path)
        else:
            self._unsettled.discard(path)
        return digest


def _read(cache: Path) -> dict[str, list[Any]]:
    """What was kept; nothing where that is damaged: a wrong digest would give recipes that no job agrees with."""
    try:
        values, proven = open_sealed(cache, "")
    except (OSError, SealError):
        return {}
    return dict(values["files"]) if proven else {}
