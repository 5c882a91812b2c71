"""Reads CSV and TSV files, whose quoted fields may run over several lines, without believing a quote too much.

A quote that is missing or too much would silently make one record of several. So a record of several lines must have
the file's width and pass its reader's own check; else only its first line is spoilt, and reading goes on behind it.
"""

import csv
import io
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from unix_lib.records.lines import opened

BLANK = " \r\n"  # characters of a line that is no record
LONGEST_FIELD = 131_072  # characters
QUOTES = "quotes that don't pair off, or a field that is too long"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Delimited:
    """One record; `fault` says why it can't be used, and then its fields are those of its first line by itself."""

    line: int  # 1-based, its first
    fields: list[str]  # bytes that are not UTF-8 are kept as with `surrogateescape`
    fault: str | None = None


# From the number, the lines and the fields of a record of several lines to why it is not believed, or None.
Doubt = Callable[[int, Sequence[str], Sequence[str]], str | None]


def read_delimited(path: Path, delimiter: str, doubt: Doubt, longest_field: int = LONGEST_FIELD) -> Iterator[Delimited]:
    """The header, which says the width and must be a single line, then every record; blank lines are none.

    Raises:
        OSError, EOFError, zlib.error: the file can't be read, see `opened`.
    """
    csv.field_size_limit(longest_field)
    with io.TextIOWrapper(opened(path), encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        lines, number, header = _Lines(file), 1, None
        while True:
            lines.taken = []
            fields, fault = [], None
            try:
                fields = next(csv.reader(lines, delimiter=delimiter, strict=True), [])
            except csv.Error as error:
                _log.info("%s:%d: %s", path, number, error)
                fault = QUOTES
            if not lines.taken:
                return
            if fault is None and len(lines.taken) > 1:
                fault = (
                    f"a quote that is not closed: with it, lines {number} to {number + len(lines.taken) - 1} have "
                    f"{len(fields)} fields"
                    if header is None or len(fields) != len(header)
                    else doubt(number, lines.taken, fields)
                )
            if fault is not None:
                lines.give_back()
                fields = fields_of(lines.taken[0], delimiter)
            if lines.taken[0].strip(BLANK) or len(lines.taken) > 1:
                header = header or fields
                yield Delimited(number, fields, fault)
            number += len(lines.taken)


def fields_of(line: str, delimiter: str) -> list[str]:
    """The fields of a line read by itself, whatever its quotes; none where they can't be told."""
    try:
        return next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter), [])
    except csv.Error:
        return []


class _Lines:
    """Lines of which those taken for one record can be given back, all but the first."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.taken: list[str] = []
        self._lines, self._given_back = lines, deque[str]()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        text = self._given_back.popleft() if self._given_back else next(self._lines)
        self.taken.append(text)
        return text

    def give_back(self) -> None:
        self._given_back.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]
