"""Files that a user brings from outside: part of the recipe of whatever reads them.

Hashes are cached by path, size and mtime, so that a plan over a million images costs a stat each, not a read.
"""

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import sha256_of, write_text
from unix_lib.artefacts.sealed import SealError, open_sealed, sealed_text
from unix_lib.config.needs import is_hub_id
from unix_lib.config.strict import StrictModel, key


class FilesIdentity(StrictModel):
    """What some files are: as many, as large, with these names and contents."""

    count: int = key("files, or texts", ge=0, lt=2**63)
    bytes: int = key("their size", ge=0, lt=2**63)
    sha256: str = key("SHA-256 over the list of (name, size, SHA-256), hexadecimal")


class FileHashes:
    """SHA-256 of files, remembered between plans in a JSON file; `None` remembers nothing."""

    def __init__(self, cache: Path | None) -> None:
        self._cache = cache
        self._known: dict[str, list[Any]] = {} if cache is None else _remembered(cache)
        self._changed = False

    def of(self, path: Path) -> str:
        status = path.stat()
        return self.remembered(str(path), [status.st_size, status.st_mtime_ns], lambda: sha256_of(path))

    def remembered(self, name: str, stamp: list[Any], compute: Callable[[], str]) -> str:
        """A digest that was computed before under the same stamp (JSON values), or is computed now."""
        known = self._known.get(name)
        if known is not None and known[:-1] == stamp:
            return str(known[-1])
        digest = compute()
        self._known[name] = [*stamp, digest]
        self._changed = True
        return digest

    def save(self) -> None:
        if self._changed and self._cache is not None:
            write_text(self._cache, sealed_text({"files": self._known}, indent=None))
            self._changed = False


def _remembered(cache: Path) -> dict[str, list[Any]]:
    """What a cache says; nothing where it is damaged or without seal, which costs time, not correctness."""
    try:
        values, proven = open_sealed(cache, "")
    except (OSError, SealError):
        return {}
    return dict(values["files"]) if proven else {}


@dataclass(frozen=True)
class Outside:
    """Where a config's relative paths begin, and the hashes of files known so far."""

    root: Path
    hashes: FileHashes

    def files(self, paths: Iterable[Path]) -> FilesIdentity:
        """Identity of files by their names below the root, folders opened, each once, in a fixed order.

        A path that does not exist yet counts as no file: a plan can be looked at before the data are there, and
        the identity changes when they arrive.
        """
        files: dict[Path, None] = {}
        for path in paths:
            whole = self.root / path
            found = sorted(p for p in whole.rglob("*") if p.is_file()) if whole.is_dir() else [whole] * whole.is_file()
            files |= dict.fromkeys(found)
        digest, total = hashlib.sha256(), 0
        for path in files:
            name = path.relative_to(self.root) if path.is_relative_to(self.root) else path
            size = path.stat().st_size
            digest.update(os.fsencode(name) + f"\0{size}\0{self.hashes.of(path)}\n".encode())
            total += size
        return FilesIdentity(count=len(files), bytes=total, sha256=digest.hexdigest())

    def pretrained(self, path: str) -> FilesIdentity | None:
        """Identity of a pretrained model's local folder; None for a hub id, which its revision pins."""
        return None if is_hub_id(path, self.root) else self.files([Path(path)])


def require_unchanged(
    name: str, paths: Iterable[Path], planned: FilesIdentity | None, hashes: FileHashes | None = None
) -> None:
    """Check, in a job, that what it is about to read is what the plan was made with.

    Args:
        name: the config key that names the files.
        paths: what `Outside.files` was given; relative to the working folder, the project's root.
        planned: from the recipe; None where nothing outside is read.
        hashes: keeps the files' hashes for the job, which may need them too.

    Raises:
        UserError: it is not.
    """
    paths = list(paths)
    if planned is not None and Outside(Path.cwd(), hashes or FileHashes(None)).files(paths) != planned:
        shown = ", ".join(map(str, paths[:3])) + (" ..." if len(paths) > 3 else "")
        raise UserError(f"{name}: {shown} changed after the plan was made; run again")
