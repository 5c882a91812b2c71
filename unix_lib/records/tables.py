"""Reads tables that users bring, row by row: .jsonl, .json, .csv, .tsv and .parquet, the texts also gzipped.

A row that is damaged spoils itself and no other. Where a file breaks off, the rows before it count and one row says
that the rest is missing. What lies in columns that nobody asks for is not looked at.
"""

import gzip
import logging
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from unix_lib.artefacts.errors import UserError
from unix_lib.config.hub_files import openable
from unix_lib.records.delimited import fields_of, read_delimited
from unix_lib.records.json_arrays import array_items
from unix_lib.records.lines import GZIP, BadLine, numbered_lines, opened, text_of, value_of

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
BREAKS_OFF = "the file breaks off or is damaged here; what follows is not read"
UNREADABLE_ROW = "can't be read: the file is damaged here"
NO_PARQUET = "no Parquet file, or one whose end is missing"
BATCH_ROWS = 256
LONGEST_FIELD = 1 << 26  # characters: an image of 48 MB in base64

_log = logging.getLogger(__name__)


class TableError(UserError):
    """A table none of whose rows can be read: what is wrong with it."""


@dataclass(frozen=True)
class TableRow:
    """One row; `fault` says, as a phrase that repeats, why it can't be used."""

    number: int  # of its line, or of the row or item, from 1
    values: dict[str, Any]  # by column, those asked for that it has
    fault: str | None = None


def read_table(path: Path, columns: Sequence[str], optional: Sequence[str] | None = ()) -> Iterator[TableRow]:
    """Rows of a table, in order.

    Args:
        columns: those that are read; a row of JSON that lacks one is faulty, as a whole CSV or Parquet file is.
        optional: read where they are there; None reads all.

    Raises:
        TableError: of no known form, no table, or without one of the columns; names those that it has.
        OSError: the file can't be read.
    """
    suffix = table_suffix(path)
    if suffix == ".parquet":
        return _parquet_rows(path, columns, optional)
    if suffix in (".csv", ".tsv"):
        return _until_broken(_delimited_rows(path, "," if suffix == ".csv" else "\t", columns, optional))
    values = _array_values(path) if suffix == ".json" and _begins_an_array(path) else _line_values(path)
    return _until_broken(_json_rows(values, columns, optional))


def table_suffix(path: Path) -> str:
    """The form of a table by its name, `.gz` left out.

    Raises:
        TableError: none that is known.
    """
    name = path.name.lower().removesuffix(GZIP)
    suffix = next((known for known in SUFFIXES if name.endswith(known)), None)
    if suffix is None or (suffix == ".parquet" and path.name.lower().endswith(GZIP)):
        raise TableError(f"a table's name ends in {', '.join(SUFFIXES)}, the texts also with {GZIP} behind it")
    return suffix


def _until_broken(rows: Iterator[TableRow]) -> Iterator[TableRow]:
    """Rows up to where a compressed file breaks off, and one that says so."""
    number = 0
    try:
        for row in rows:
            number = row.number
            yield row
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        _log.info("%s", error)
        yield TableRow(number + 1, {}, BREAKS_OFF)


Value = tuple[int, Any, str | None]  # number, what stands there, what is wrong with it


def _line_values(path: Path) -> Iterator[Value]:
    for number, line in numbered_lines(path):
        try:
            yield number, value_of(text_of(line)), None
        except BadLine as fault:
            _log.info("%s:%d: %s", path, number, fault.__cause__ or fault)
            yield number, None, str(fault)


def _array_values(path: Path) -> Iterator[Value]:
    number = 0
    try:
        for number, value in enumerate(array_items(path), start=1):
            yield number, value, None
    except BadLine as fault:
        _log.info("%s: item %d: %s", path, number + 1, fault.__cause__ or fault)
        yield number + 1, None, BREAKS_OFF


def _json_rows(values: Iterator[Value], columns: Sequence[str], optional: Sequence[str] | None) -> Iterator[TableRow]:
    for number, value, fault in values:
        if fault is not None:
            yield TableRow(number, {}, fault)
        elif not isinstance(value, dict):
            yield TableRow(number, {}, f"not an object with {', '.join(map(repr, columns)) or 'columns'}")
        else:
            lacking = next((column for column in columns if column not in value), None)
            known = {column: value[column] for column in _wanted(columns, optional, list(value))}
            yield TableRow(number, known, None if lacking is None else f"has no '{lacking}'")


def _begins_an_array(path: Path) -> bool:
    with opened(path) as file:
        try:
            return bytes(file.read(64)).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
        except (EOFError, zlib.error, gzip.BadGzipFile):
            return False


def _delimited_rows(
    path: Path, delimiter: str, columns: Sequence[str], optional: Sequence[str] | None
) -> Iterator[TableRow]:
    width = 0

    def swallowed(number: int, lines: Sequence[str], fields: Sequence[str]) -> str | None:
        """Why a record of several lines is none: those behind the first are rows by themselves.

        A comma is common in a text, a tab is not: so a single line with the tabs of a row is believed to be one.
        """
        rows = [len(fields_of(line, delimiter)) == width for line in lines[1:]]
        if any(rows) if delimiter == "\t" else all(rows):
            return f"a quote that is not closed before line {number + 1 + rows.index(True)}, which is a row by itself"
        return None

    # A field may hold an image in base64.
    records = read_delimited(path, delimiter, swallowed, longest_field=LONGEST_FIELD)
    header = next(records, None)
    if header is None or header.fault is not None:
        raise TableError(f"its first line names no columns; it needs {', '.join(columns)}")
    _require(columns, header.fields)
    width = len(header.fields)
    wanted = _wanted(columns, optional, header.fields)
    for record in records:
        values = dict(zip(header.fields, record.fields, strict=False))
        fault = record.fault
        if fault is None and len(record.fields) != len(header.fields):
            fault = f"{len(record.fields)} fields, the first line has {len(header.fields)}"
        yield TableRow(record.line, {column: values[column] for column in wanted if column in values}, fault)


def _parquet_rows(path: Path, columns: Sequence[str], optional: Sequence[str] | None) -> Iterator[TableRow]:
    for first, batch in parquet_batches(path, columns, optional):
        if isinstance(batch, int):
            yield from (TableRow(first + index + 1, {}, UNREADABLE_ROW) for index in range(batch))
        else:
            for index, values in enumerate(_rows_of(batch)):
                yield TableRow(first + index + 1, values or {}, None if values is not None else "holds no UTF-8")


def parquet_batches(
    path: Path, columns: Sequence[str], optional: Sequence[str] | None = (), batch_rows: int = BATCH_ROWS
) -> Iterator[tuple[int, pa.RecordBatch | int]]:
    """(first row from 0, batch) of a Parquet file in order; of rows that can't be read, how many they are.

    Raises:
        TableError: no Parquet file, a truncated one, or without one of the columns.
        OSError: the file can't be read.
    """
    try:
        file = pq.ParquetFile(openable(path), page_checksum_verification=True)
    except pa.ArrowException as error:
        raise TableError(NO_PARQUET) from error
    except OSError as error:
        if error.errno is not None:
            raise  # the disk's, not of what the file holds
        raise TableError(NO_PARQUET) from error
    with file:
        names = file.schema_arrow.names
        _require(columns, names)
        wanted = _wanted(columns, optional, names)
        first = 0
        for group in range(file.num_row_groups):
            rows, done = file.metadata.row_group(group).num_rows, 0
            try:
                for batch in file.iter_batches(batch_rows, row_groups=[group], columns=wanted):
                    yield first + done, batch
                    done += len(batch)
            except (pa.ArrowException, OSError) as error:
                _log.info("%s: row group %d: %s", path, group, error)
            if done < rows:
                yield first + done, rows - done
            first += rows


def _rows_of(batch: pa.RecordBatch) -> list[dict[str, Any] | None]:
    """A batch's rows; None for one whose texts are no UTF-8."""
    try:
        return list(batch.to_pylist())
    except UnicodeDecodeError:
        if len(batch) == 1:
            return [None]
        return [row for index in range(len(batch)) for row in _rows_of(batch.slice(index, 1))]


def _wanted(columns: Sequence[str], optional: Sequence[str] | None, there: Sequence[str]) -> list[str]:
    """Those columns that are there."""
    return list(there) if optional is None else [column for column in (*columns, *optional) if column in there]


def _require(columns: Sequence[str], there: Sequence[str]) -> None:
    for column in columns:
        if column not in there:
            raise TableError(f"it has no column '{column}'; its columns are {', '.join(there)}")
