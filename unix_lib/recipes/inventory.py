"""Takes inventory: hashes the outside files that a config's jobs name, several at a time, beside planning.

A file that an inventory has under its present stamp is not read. What was hashed is added every few seconds, so that a
killed process repeats no more than that. Files are listed by the plan itself, with hashes that read nothing: whatever
a kind of source names is in it.
"""

import hashlib
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from unix_lib.artefacts.files import sha256_of
from unix_lib.config.experiment import Experiment
from unix_lib.config.file_hashes import UNSETTLED, FileHashes
from unix_lib.config.inventory import Inventory, Stamp, append, place_of, rewrite, stamp_at, written
from unix_lib.config.outside import identified
from unix_lib.recipes.plan import STAGES
from unix_lib.recipes.resolve import resolve

SECONDS = 5.0  # between two blocks
TOGETHER = 1000  # small files that a thread takes at a time
SMALL = 1 << 20  # bytes
POLL_SECONDS = 0.2


@dataclass
class Taken:
    """What was found so far."""

    files: int = 0  # of all inventories
    known: int = 0  # of them in an inventory already
    bytes: int = 0  # to be read
    read_files: int = 0
    read_bytes: int = 0
    unreadable: list[str] = field(default_factory=list)
    unsettled: int = 0  # written to just now, or while they were read: the next inventory has them
    faults: list[str] = field(default_factory=list)  # inventories of which something was not believed
    places: list[Path] = field(default_factory=list)


class _Listing(FileHashes):
    """Hashes that read nothing and note what is asked for."""

    def __init__(self) -> None:
        super().__init__(None)
        self.paths: dict[str, None] = {}

    def size_and_digest(self, path: str, stamp: Stamp | None) -> tuple[int, str]:
        self.paths[path] = None
        return 0, "listed"


def files_by_top(experiment: Experiment, root: Path) -> dict[str, list[str]]:
    """Outside files that an experiment's jobs read, by the folder that holds all of a source, or of another part."""
    listing = _Listing()
    plan = resolve(experiment, root, listing)
    assert plan.outside is not None
    found: dict[str, dict[str, None]] = defaultdict(dict)
    outside = plan.outside.anew()  # what several jobs read is listed with the first of them
    for stage in STAGES:
        for artefacts in plan.parts(stage).values():
            listing.paths = {}
            for artefact in artefacts:
                identified(plan.jobs[artefact].settings, outside)
            if listing.paths:
                top = os.path.commonpath({path.rpartition("/")[0] for path in listing.paths})
                found[top] |= listing.paths
    return {top: list(paths) for top, paths in found.items()}


def take_inventory(
    experiment: Experiment, root: Path, readers: int, progress: Callable[[Taken], None] = lambda so_far: None
) -> Taken:
    """Bring the inventories of an experiment's outside files up to date.

    Args:
        readers: files, or lots of small ones, that are read at a time.
        progress: told now and then what was done so far.
    """
    taken = Taken()
    for top, paths in files_by_top(experiment, root).items():
        place = place_of(top, root)
        place.parent.mkdir(parents=True, exist_ok=True)
        inventory = Inventory.read(place)
        if inventory.fault is not None:
            taken.faults.append(inventory.fault)
            rewrite(place, inventory)
        taken.places.append(place)
        taken.files += len(paths)
        _Reading(top, place, inventory, taken).read(paths, readers, progress)
    return taken


class _Reading:
    """The files of one inventory that are to be read."""

    def __init__(self, top: str, place: Path, inventory: Inventory, taken: Taken) -> None:
        self._known, self._place, self._taken = inventory.entries, place, taken
        self._prefix = len(top.rstrip("/")) + 1
        self._new: list[tuple[bytes, bytes, bytes]] = []
        self._counting, self._stopped = threading.Lock(), threading.Event()

    def read(self, paths: list[str], readers: int, progress: Callable[[Taken], None]) -> None:
        """Hash those that are not known, and add what was hashed every few seconds."""
        lots = list(self._lots(paths))
        written = time.monotonic()
        with ThreadPoolExecutor(readers) as pool:  # hashing and reading let go of the interpreter's lock
            waiting = [pool.submit(self._read_lot, lot) for lot in lots]
            try:
                while waiting:
                    wait(waiting[:1], POLL_SECONDS)
                    while waiting and waiting[0].done():
                        waiting.pop(0).result()
                    progress(self._taken)
                    if time.monotonic() - written > SECONDS:
                        self._write()
                        written = time.monotonic()
            except BaseException:
                self._stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
            finally:
                self._write()

    def _lots(self, paths: list[str]) -> Iterator[list[tuple[str, Stamp]]]:
        """Files to be read with their stamps: a large one alone, small ones together."""
        lot: list[tuple[str, Stamp]] = []
        lot_bytes = 0
        for path in paths:
            stamp = stamp_at(path)
            if stamp is None:
                self._taken.unreadable.append(path)
                continue
            if self._known.get(self._name(path), (b"",))[0] == written(stamp):
                self._taken.known += 1
                continue
            self._taken.bytes += stamp[0]
            lot.append((path, stamp))
            lot_bytes += stamp[0]
            if lot_bytes >= SMALL or len(lot) >= TOGETHER:
                yield lot
                lot, lot_bytes = [], 0
        if lot:
            yield lot

    def _name(self, path: str) -> bytes:
        return os.fsencode(path[self._prefix :])

    def _read_lot(self, lot: list[tuple[str, Stamp]]) -> None:
        """Read files one after the other; what was found is added at once, as threads that take turns are slow."""
        new, unreadable, count, size = [], [], 0, 0
        for path, stamp in lot:
            if self._stopped.is_set():
                break
            is_large = stamp[0] >= SMALL
            try:
                digest = sha256_of(Path(path), self._advance) if is_large else _digest_of(path)
            except OSError:
                unreadable.append(path)
                continue
            count, size = count + 1, size + (0 if is_large else stamp[0])
            if stamp_at(path) == stamp and abs(time.time_ns() - stamp[1]) >= UNSETTLED:
                new.append((self._name(path), written(stamp), digest.encode()))
        with self._counting:
            self._taken.unreadable += unreadable
            self._taken.read_files += count
            self._taken.read_bytes += size
            self._taken.unsettled += count - len(new)
            self._new += new

    def _advance(self, size: int) -> None:
        if self._stopped.is_set():
            raise InterruptedError
        with self._counting:
            self._taken.read_bytes += size

    def _write(self) -> None:
        with self._counting:
            new, self._new = self._new, []
        if new:
            append(self._place, new)


def _digest_of(path: str) -> str:
    """SHA-256 of a small file, hexadecimal."""
    number = os.open(path, os.O_RDONLY)
    try:
        digest = hashlib.sha256()
        while piece := os.read(number, SMALL):
            digest.update(piece)
    finally:
        os.close(number)
    return digest.hexdigest()
