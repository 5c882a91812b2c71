"""Files that a user brings from outside: part of the recipe of whatever reads them.

Hashes are cached by path, size and mtime, so that a plan over a million images costs a stat each, not a read.
"""

import hashlib
import json
import os
import platform
import pydoc_data.topics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import sha256_of, write_text


class FileHashes:
    """SHA-256 of files, remembered between plans in a JSON file; `None` remembers nothing."""

    def __init__(self, cache: Path | None) -> None:
        self._cache = cache
        self._known: dict[str, list[Any]] = {}
        self._changed = False
        if cache is not None and cache.is_file():
            try:
                self._known = json.loads(cache.read_text(encoding="utf-8"))
            except ValueError:
                self._known = {}  # a damaged cache costs time, not correctness

    def of(self, path: Path) -> str:
        status = path.stat()
        stamp = [status.st_size, status.st_mtime_ns]
        known = self._known.get(str(path))
        if known is not None and known[:2] == stamp:
            return str(known[2])
        digest = sha256_of(path)
        self._known[str(path)] = [*stamp, digest]
        self._changed = True
        return digest

    def save(self) -> None:
        if self._changed and self._cache is not None:
            write_text(self._cache, json.dumps(self._known))  # ASCII: a file's name need not be UTF-8
            self._changed = False


def files_identity(paths: Iterable[Path], root: Path, hashes: FileHashes) -> dict[str, Any]:
    """Count, bytes and one SHA-256 over the sorted list of (path, size, sha256) of files, folders opened.

    A path that does not exist yet counts as no file: a plan can be looked at before the data are there, and
    the identity changes when they arrive.
    """
    files: list[Path] = []
    for path in paths:
        files.extend(sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path] * path.is_file())
    digest, total = hashlib.sha256(), 0
    for path in files:
        name = path.relative_to(root) if path.is_relative_to(root) else path
        size = path.stat().st_size
        digest.update(os.fsencode(name) + f"\0{size}\0{hashes.of(path)}\n".encode())
        total += size
    return {"count": len(files), "bytes": total, "sha256": digest.hexdigest()}


def pretrained_identity(path: str, root: Path, hashes: FileHashes) -> dict[str, Any]:
    """`{"identity": ...}` of a pretrained model's local folder; nothing for a hub id, which its revision pins."""
    return {} if is_hub_id(path, root) else {"identity": files_identity([root / path], root, hashes)}


def is_hub_id(path: str, root: Path = Path()) -> bool:
    """Whether a model's path is `owner/name` on the hub rather than a folder."""
    return not (root / path).exists() and path.count("/") == 1 and path[0] not in "./~"


def require_unchanged(key: str, path: Path, identity: dict[str, Any]) -> None:
    """Check, in a job, that a path still holds what the plan was made with.

    Args:
        key: the config key that names the path.
        identity: from `files_identity`, with the working folder as root.

    Raises:
        UserError: it does not.
    """
    if files_identity([path.absolute()], Path.cwd(), FileHashes(None)) != identity:
        raise UserError(f"{key}: {path} was changed after the plan was made; run again")


def require_planned(key: str, settings: dict[str, Any]) -> None:
    """Check, in a job, that a pretrained `path` is what `pretrained_identity` saw; a hub id has no identity.

    Raises:
        UserError: it is not.
    """
    if "identity" in settings:
        require_unchanged(key, Path(settings["path"]), settings["identity"])


def corpus_identity() -> dict[str, Any]:
    """Identity of the running CPython's reference topics and docstrings."""
    return {"python": platform.python_version(), "topics_sha256": sha256_of(Path(pydoc_data.topics.__file__))}
