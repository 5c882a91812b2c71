"""Keeps a model's answers: files that only grow, a line an answer, beside all results.

Answers can't be had again as they were: they are data. Whatever a killed job was told stands here, and a job that runs
again asks for the rest. A line carries a SHA-256 of itself; one that is damaged counts as no answer.
"""

import errno
import json
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from unix_lib.artefacts.sealed import is_sealed, sealed_text
from unix_lib.jobs.lock import Lock
from unix_lib.translate.asking import Answer

SUFFIX = ".jsonl"
KEY_BYTES = 16  # of a request's SHA-256: a billion answers collide with probability 1e-21
LENGTH_BITS, OFFSET_BITS = 28, 48  # of a place: a file's number, an offset in it, and a length, as one integer

_log = logging.getLogger(__name__)


class Answers:
    """All answers of a folder, by the keys of their requests; new ones go to a file of its own. For several threads.

    In memory is where an answer stands, about 150 bytes each, not what it says.
    """

    def __init__(self, folder: Path, name: str) -> None:
        """A context manager.

        Args:
            name: of the file for new answers; a second process that asks for it waits.
        """
        self.folder, self.path = folder, folder / f"{name}{SUFFIX}"
        self.added = 0
        self._places: dict[bytes, int] = {}
        self._files: list[int] = []  # open; the last one is written to
        self._end = 0  # of that file
        self._writing = threading.Lock()
        self._open = ExitStack()

    def __enter__(self) -> "Answers":
        self._open.enter_context(Lock(self.path.with_suffix(".lock")))
        for path in sorted({*self.folder.glob(f"*{SUFFIX}")} - {self.path}):
            self._read(path, os.O_RDONLY)
        self._read(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        if self._end and os.pread(self._files[-1], 1, self._end - 1) != b"\n":  # a killed process was writing
            self._end += os.write(self._files[-1], b"\n")
        return self

    def _read(self, path: Path, flags: int) -> None:
        file = os.open(path, flags, 0o644)
        self._open.callback(os.close, file)
        self._files.append(file)
        self._end, damaged = 0, 0
        for line in _lines(path):
            values = _values(line)
            if values is not None:
                self._places.setdefault(_short(values["key"]), self._place(len(line)))
            damaged += values is None and line.endswith(b"\n")  # else it is being written, or its process was killed
            self._end += len(line)
        if damaged:
            _log.warning("%s: %d damaged lines; what they said is asked for again", path, damaged)

    def _place(self, length: int) -> int:
        """Of a line of this length at the end of the last file."""
        return ((len(self._files) - 1) << OFFSET_BITS | self._end) << LENGTH_BITS | length

    def __len__(self) -> int:
        return len(self._places)

    def get(self, key: str) -> Answer | None:
        """The answer to the request with this key, the first where there are several."""
        place = self._places.get(_short(key))
        if place is None:
            return None
        number, offset = divmod(place >> LENGTH_BITS, 1 << OFFSET_BITS)
        values = _values(os.pread(self._files[number], place % (1 << LENGTH_BITS), offset))
        return None if values is None else Answer(values["text"], values["finish_reason"])

    def add(self, key: str, answer: Answer) -> None:
        """Keep an answer: from here on it outlives this process."""
        values = {"key": key, "text": answer.text, "finish_reason": answer.finish_reason}
        line = sealed_text(values, indent=None).encode()
        with self._writing:
            if not self._files:  # closed, and its number may be another file's by now
                raise OSError(errno.EBADF, os.strerror(errno.EBADF), str(self.path))
            if os.write(self._files[-1], line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            self._places.setdefault(_short(key), self._place(len(line)))
            self._end += len(line)
            self.added += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._writing:
            os.fsync(self._files[-1])
            self._open.close()
            self._files.clear()


def _lines(path: Path) -> Iterator[bytes]:
    """With their ends: their lengths say where the next one begins."""
    with open(path, "rb") as file:
        yield from file


def _short(key: str) -> bytes:
    return bytes.fromhex(key)[:KEY_BYTES]


def _values(line: bytes) -> dict[str, Any] | None:
    """What a line says; None where it is damaged."""
    try:
        text = line.decode()
        values: dict[str, Any] = json.loads(text)
        return values if is_sealed(text, values) else None
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
