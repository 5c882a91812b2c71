"""Sealed folders: files that must be whole but whose bytes don't repeat, such as optimizer state.

Such files stay out of a manifest, whose hash is the artefact's identity. `hashes.json` beside them, written last,
says what they were when they were whole.
"""

import json
import os
from pathlib import Path

from unix_lib.artefacts.files import sha256_of, write_json

HASHES = "hashes.json"


def seal(folder: Path) -> None:
    """Flush a folder's files to disk and write their sizes and hashes: the folder's last file."""
    entries = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != HASHES):
        with open(path, "rb") as file:
            os.fsync(file.fileno())
        entries[path.relative_to(folder).as_posix()] = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
    write_json(folder / HASHES, entries)


def seal_fault(folder: Path) -> str | None:
    """What is wrong with a sealed folder's files, or None."""
    try:
        entries = json.loads((folder / HASHES).read_text(encoding="utf-8"))
        for name, entry in entries.items():
            path = folder / name
            if not path.is_file():
                return f"{name} is missing"
            if path.stat().st_size != entry["bytes"] or sha256_of(path) != entry["sha256"]:
                return f"{name} differs from its hash"
    except FileNotFoundError:
        return f"no {HASHES}, so it was never finished"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return f"unreadable ({error})"
    return None
