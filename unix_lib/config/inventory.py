"""Inventories: SHA-256, sizes and times of the files below a folder, kept beside them in `.unix-inventory`.

`python -m unix_lib inventory` writes them, planning compares them with what lies there now: an entry whose size or
times are not those of its file says nothing. So files of the folder may come, go and change, and only those are read
again. Where a folder may not be written to, its inventory is kept below `results/.inventories`.

The file only grows, block by block: a line with the size and the SHA-256 of what follows, then for each file its name
below the folder, its stamp (size, times of content and of status, nanoseconds) and its SHA-256, each ended by a zero
byte. A block that a killed process left unfinished, and whatever is damaged, is not believed.
"""

import hashlib
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from unix_lib.artefacts.files import atomic_path
from unix_lib.config.folders import INVENTORY

ELSEWHERE = Path("results", ".inventories")  # below the project's root
_HEAD = re.compile(rb"unix-inventory 1 ([0-9]{1,12}) ([0-9a-f]{64})\n")


@dataclass
class Inventory:
    """What was known of the files below a folder: stamp and digest by name, as bytes."""

    entries: dict[bytes, tuple[bytes, bytes]] = field(default_factory=dict)
    fault: str | None = None  # why some of it isn't believed

    @classmethod
    def read(cls, path: Path) -> "Inventory":
        """What a file of blocks says, a later block before an earlier one; nothing where there is none."""
        found = cls()
        try:
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return found
        except OSError as error:
            found.fault = f"{path}: can't be read ({error.strerror})"
            return found
        at = 0
        while at < len(content):
            head = _HEAD.match(content, at)
            body = content[head.end() : head.end() + int(head[1])] if head is not None else b""
            if head is None or len(body) != int(head[1]) or hashlib.sha256(body).hexdigest().encode() != head[2]:
                found.fault = f"{path}: damaged or unfinished from byte {at:,} on"
                break
            parts = body.split(b"\0")
            found.entries |= zip(parts[0::3], zip(parts[1::3], parts[2::3], strict=True), strict=False)
            at = head.end() + len(body)
        return found


def block_of(entries: Iterable[tuple[bytes, bytes, bytes]]) -> bytes:
    """A block of (name, stamp, digest)."""
    body = b"".join(b"%b\0%b\0%b\0" % entry for entry in entries)
    return b"unix-inventory 1 %d %b\n" % (len(body), hashlib.sha256(body).hexdigest().encode()) + body


def append(path: Path, entries: list[tuple[bytes, bytes, bytes]]) -> None:
    """Add a block of (name, stamp, digest) and have the disk hold it."""
    with open(path, "ab") as file:
        file.write(block_of(entries))
        file.flush()
        os.fsync(file.fileno())


def rewrite(path: Path, inventory: Inventory) -> None:
    """Write an inventory anew with what is believed of it, so that blocks can be added behind it."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(block_of((name, *entry) for name, entry in inventory.entries.items()))


Stamp = tuple[int, int, int]  # size, times of content and of status in nanoseconds


def stamp_at(path: str) -> Stamp | None:
    """Size and times of a regular file, links followed; None of anything else.

    The time of its status can't be set, so that an edit that puts the other back is seen.
    """
    try:
        status = os.stat(path)  # noqa: PTH116  # a path as text: a plan may speak of millions
    except (OSError, ValueError):  # no such file, no access, a name that no file can have
        return None
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns) if stat.S_ISREG(status.st_mode) else None


def written(stamp: Stamp) -> bytes:
    """A stamp as an inventory has it."""
    return b"%d %d %d" % stamp


def place_of(folder: str, root: Path) -> Path:
    """Where the inventory of a folder is written: in it or, where nothing may be written there, below the results."""
    if os.access(folder, os.W_OK):
        return Path(folder, INVENTORY)
    return _elsewhere(folder, root)


def _elsewhere(folder: str, root: Path) -> Path:
    name = hashlib.sha256(bytes(Path(folder).absolute())).hexdigest()[:16]
    return root / ELSEWHERE / f"{name}{INVENTORY}"


class Inventories:
    """The inventories that speak of a file: of its folder and of all folders above it, each read once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read: dict[str, Inventory] = {}
        self._of: dict[str, list[tuple[dict[bytes, tuple[bytes, bytes]], bytes]]] = {}

    @property
    def faults(self) -> list[str]:
        """What isn't believed of those that were read."""
        return [inventory.fault for inventory in self._read.values() if inventory.fault is not None]

    def digest(self, path: str, stamp: Stamp) -> str | None:
        """A file's SHA-256 where an inventory has it under the stamp that it has now."""
        folder, _, name = path.rpartition("/")
        speaking = self._of.get(folder)
        if speaking is None:
            speaking = self._of[folder] = self._speaking(folder)
        for entries, below in speaking:
            entry = entries.get(below + os.fsencode(name))
            if entry is not None and entry[0] == written(stamp):
                return entry[1].decode()
        return None

    def _speaking(self, folder: str) -> list[tuple[dict[bytes, tuple[bytes, bytes]], bytes]]:
        """Entries of the inventories above a folder, the nearest first, with what a name begins with in each."""
        found, below, top = [], "", str(Path(folder).absolute())
        while True:
            if top not in self._read:
                places = (Path(top, INVENTORY), _elsewhere(top, self._root))
                beside, elsewhere = map(Inventory.read, places)
                faults = [one.fault for one in (beside, elsewhere) if one.fault is not None]
                entries = elsewhere.entries | beside.entries if elsewhere.entries else beside.entries
                self._read[top] = Inventory(entries, "; ".join(faults) or None)
            if self._read[top].entries:
                found.append((self._read[top].entries, os.fsencode(below)))
            top, name = os.path.split(top)
            if not name:
                return found
            below = f"{name}/{below}"
