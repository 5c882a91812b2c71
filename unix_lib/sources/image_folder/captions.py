"""Reads a caption file, JSONL or CSV, with columns `image` and `caption`: a row per sample, or why a line is none.

Bytes that are not UTF-8 and a quote that is never closed spoil their line, not the file.
"""

import csv
import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from unix_lib.records.rejected import encodable
from unix_lib.sources.errors import SourceError

COLUMNS = ("image", "caption")
REPLACEMENT = "\ufffd"  # what undecodable bytes are read as


@dataclass(frozen=True)
class CaptionRow:
    """One line of the file; `fault` says why it can't be used."""

    line: int  # 1-based, the row's first
    image: str
    caption: str
    fault: str | None = None


def read_captions(path: Path, folder: Path) -> Iterator[CaptionRow]:
    """Rows of a caption file, in order; blank lines are no rows.

    Args:
        folder: where the images are: a CSV row that runs on over a line with an image of its own misses a quote.

    Raises:
        SourceError: no such file, neither .csv nor .jsonl, or a CSV without the two columns.
    """
    if not path.is_file():
        raise SourceError(f"{path}: no such caption file; set 'captions' to a JSONL or CSV file")
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".jsonl"):
        raise SourceError(f"{path}: a caption file ends in .csv or .jsonl; convert or rename it")
    yield from _csv_rows(path, folder) if suffix == ".csv" else _jsonl_rows(path)


def is_file(path: Path) -> bool:
    """Whether there is such a file; a name that no file can have names none."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long for the file system, or not encodable
        return False


def _jsonl_rows(path: Path) -> Iterator[CaptionRow]:
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        for line, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                values = json.loads(text)
            except (ValueError, RecursionError) as error:
                yield CaptionRow(line, "", "", f"not JSON: {error}")
                continue
            yield _row(line, values)


def _csv_rows(path: Path, folder: Path) -> Iterator[CaptionRow]:
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
        records = _Records(file)
        try:
            columns = records.next()
        except csv.Error as error:
            raise SourceError(f"{path}: the first line is not CSV ({error}); name the columns image,caption") from None
        missing = [column for column in COLUMNS if column not in (columns or [])]
        if columns is None or missing:
            raise SourceError(f"{path}: no column '{missing[0]}' in the first line; name the columns image,caption")
        place = columns.index("image")
        while True:
            try:
                fields = records.next()
            except csv.Error as error:
                yield CaptionRow(records.line, records.field_of(0, place), "", f"not CSV: {error}")
                records.go_back()
                continue
            if fields is None:
                return
            if not fields:
                continue
            swallowed = _swallowed(records, fields, place, folder)
            if swallowed is not None:
                fault = f"a quote that is not closed before line {records.line + swallowed}, which has its own image"
                yield CaptionRow(records.line, records.field_of(0, place), "", fault)
                records.go_back()
            elif len(fields) > len(columns):
                fault = "more fields than columns; put a caption with commas in quotes"
                yield CaptionRow(records.line, fields[place], "", fault)
            else:
                yield _row(records.line, dict(zip(columns, fields, strict=False)))


class _Records:
    """CSV records with the lines that each was read from, which can be given back all but the first."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.line = 1  # 1-based, the first of the latest record
        self.taken: list[str] = []  # its lines
        self._lines, self._given_back = lines, deque[str]()

    def next(self) -> list[str] | None:
        """The fields of the next record, none for a blank line; None at the end.

        Raises:
            csv.Error: quotes that don't pair off, or a field that is too long.
        """
        self.line += len(self.taken)
        self.taken = []
        return next(csv.reader(self._feed(), strict=True), None)

    def go_back(self) -> None:
        """Read on behind the first line of the latest record."""
        self._given_back.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]

    def field_of(self, number: int, column: int) -> str:
        """A field of one of the record's lines, read by itself; empty where it has none."""
        try:
            fields = next(csv.reader([self.taken[number]]), [])
        except csv.Error:
            return ""
        return fields[column] if column < len(fields) else ""

    def _feed(self) -> Iterator[str]:
        while True:
            text = self._given_back.popleft() if self._given_back else next(self._lines, None)
            if text is None:
                return
            self.taken.append(text)
            yield text


def _swallowed(records: _Records, fields: list[str], place: int, folder: Path) -> int | None:
    """Which of a record's lines, counted from 0, is a row with an image of its own, or None."""
    for number in range(1, len(records.taken)):
        name = records.field_of(number, place).strip()
        # Behind a caption of several lines, the record's own image stands on the last one.
        its_own = 0 < place < len(fields) and number == len(records.taken) - 1 and name == fields[place].strip()
        if name and not its_own and is_file(folder / name):
            return number
    return None


def _row(line: int, values: object) -> CaptionRow:
    if not isinstance(values, dict):
        return CaptionRow(line, "", "", "not an object with 'image' and 'caption'")
    fields = [values.get(column) for column in COLUMNS]
    texts = [field if isinstance(field, str) else "" for field in fields]
    image, caption = (text.replace("\0", "").strip() for text in texts)
    for column, field in zip(COLUMNS, fields, strict=True):
        if not isinstance(field, str):
            return CaptionRow(line, image, "", f"'{column}' is missing or no text")
        if REPLACEMENT in field:
            return CaptionRow(line, image, "", f"'{column}' is not UTF-8")
        if "\0" in field:
            return CaptionRow(line, image, "", f"'{column}' has a NUL character")
        if encodable(field) != field:
            return CaptionRow(line, image, "", f"'{column}' has half of a surrogate pair")
    return CaptionRow(line, image, caption)
