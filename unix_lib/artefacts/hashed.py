"""Files that are hashed while they are written: reading gigabytes again for their hash would take as long once more."""

import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import NamedTuple


class Entry(NamedTuple):
    """What a seal says of a file."""

    bytes: int
    sha256: str


class HashedFile:
    """A new binary file; once it was left without an error, the disk holds it and `entry` says what was written."""

    entry: Entry

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._digest, self._size = hashlib.sha256(), 0

    def write(self, data: bytes | memoryview) -> int:
        """Append; both hashing and writing of large pieces let other threads run."""
        size = memoryview(data).nbytes
        self._file.write(data)
        self._digest.update(data)
        self._size += size
        return size

    def flush(self) -> None:
        self._file.flush()

    def __enter__(self) -> "HashedFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if error is None:
                self._file.flush()
                os.fsync(self._file.fileno())
                self.entry = Entry(self._size, self._digest.hexdigest())
