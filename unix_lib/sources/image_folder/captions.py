"""Reads a table of captions with columns `image` and `caption`: a row per sample, or why it is none.

Bytes that are not UTF-8 and a quote that is never closed spoil their line, not the file.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from unix_lib.config.folders import is_regular
from unix_lib.images.formats import EXTENSIONS
from unix_lib.records.delimited import fields_of, read_delimited
from unix_lib.records.lines import BadLine, fault_of, numbered_lines, value_of
from unix_lib.records.tables import TableError, read_table
from unix_lib.sources.errors import SourceError

COLUMNS = ("image", "caption")
FORMS = ".csv, .jsonl, .json, .tsv or .parquet"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CaptionRow:
    """One row; `fault` says why it can't be used."""

    file: str  # its name
    line: int  # 1-based, the row's first
    image: str
    caption: str | None  # None where none is wanted
    fault: str | None = None

    @property
    def origin(self) -> str:
        return f"{self.file}:{self.line}"


def read_captions(path: Path, folder: Path) -> Iterator[CaptionRow]:
    """Rows of a caption file, in order; blank lines are no rows.

    Args:
        folder: where the images are: a CSV row that runs on over a line with an image of its own misses a quote.

    Raises:
        SourceError: no such file, one that can't be read, of no known form, or a table without the two columns.
    """
    if not is_regular(path):
        raise SourceError(f"{path}: no such caption file; set 'captions' to a table that ends in {FORMS}")
    read = {".csv": lambda: _csv_rows(path, folder), ".jsonl": lambda: _jsonl_rows(path)}
    try:
        yield from read.get(path.suffix.lower(), lambda: _table_rows(path))()
    except TableError as error:
        raise SourceError(f"{path}: {error}; make it a table with columns image and caption in {FORMS}") from None
    except OSError as error:
        raise SourceError(f"{path}: can't be read ({error.strerror}); make it a file that you may read") from None


def _table_rows(path: Path) -> Iterator[CaptionRow]:
    for row in read_table(path, COLUMNS):
        if row.fault is None:
            yield _row(path, row.number, row.values)
        else:
            yield CaptionRow(path.name, row.number, "", "", row.fault)


def _jsonl_rows(path: Path) -> Iterator[CaptionRow]:
    for number, line in numbered_lines(path):
        try:
            values = value_of(line.decode("utf-8", "surrogateescape"))
        except BadLine as fault:
            _log.info("%s:%d: %s", path, number, fault.__cause__)
            yield CaptionRow(path.name, number, "", "", str(fault))
        else:
            yield _row(path, number, values)


def _csv_rows(path: Path, folder: Path) -> Iterator[CaptionRow]:
    columns: list[str] = []

    def swallowed(first: int, lines: Sequence[str], fields: Sequence[str]) -> str | None:
        """Why a record of several lines is none: one of them is a row with an image of its own."""
        place = columns.index("image")
        for number, line in enumerate(lines[1:], start=1):
            by_itself = fields_of(line, ",")
            name = by_itself[place].strip() if place < len(by_itself) else ""
            # Behind a caption of several lines, the record's own image stands on the last one.
            its_own = place > 0 and number == len(lines) - 1 and name == fields[place].strip()
            if name and not its_own and (Path(name).suffix.lower() in EXTENSIONS or is_regular(folder / name)):
                return f"a quote that is not closed before line {first + number}, which has its own image"
        return None

    records = read_delimited(path, ",", swallowed)
    header = next(records, None)
    if header is not None and header.fault is not None:
        raise SourceError(f"{path}: the first line is not CSV ({header.fault}); name the columns image,caption")
    columns += [] if header is None else header.fields
    for column in COLUMNS:
        if column not in columns:
            raise SourceError(f"{path}: no column '{column}' in the first line; name the columns image,caption")
    for record in records:
        values = dict(zip(columns, record.fields, strict=False))
        fault = record.fault
        if fault is None and len(record.fields) > len(columns):
            fault = "more fields than columns; put a caption with commas in quotes"
        yield (
            _row(path, record.line, values)
            if fault is None
            else CaptionRow(path.name, record.line, values.get("image", "").replace("\0", "").strip(), "", fault)
        )


def _row(path: Path, line: int, values: object) -> CaptionRow:
    if not isinstance(values, dict):
        return CaptionRow(path.name, line, "", "", "not an object with 'image' and 'caption'")
    fields = [values.get(column) for column in COLUMNS]
    texts = [field if isinstance(field, str) else "" for field in fields]
    image, caption = (text.replace("\0", "").strip() for text in texts)
    for column, field in zip(COLUMNS, fields, strict=True):
        fault = fault_of(field) if isinstance(field, str) else "is missing or no text"
        if fault is not None:
            return CaptionRow(path.name, line, image, "", f"'{column}' {fault}")
    return CaptionRow(path.name, line, image, caption)
