"""Reads a user's table row by row, and writes one of the same form, all of its columns kept."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from unix_lib.artefacts.files import atomic_path
from unix_lib.records.schema import Row
from unix_lib.records.tables import TableError, read_table, table_suffix
from unix_lib.translate.errors import TranslateError
from unix_lib.translate.rows import Item

ROW_GROUP_ROWS = 4096


def read_items(path: Path, columns: Sequence[str]) -> Iterator[Item]:
    """Every row of a table, the unreadable ones with their faults.

    Raises:
        TranslateError: it can't be read, or lacks one of the columns.
    """
    try:
        for row in read_table(path, columns, optional=None):
            yield Item(f"row-{row.number}", f"{path.name}:{row.number}", row.number, row.values, row.fault)
    except TableError as error:
        raise TranslateError(f"{path}: {error}") from None
    except OSError as error:
        raise TranslateError(f"{path}: {error.strerror or 'a damaged file'}") from None


def write_items(path: Path, items: Iterable[Item], like: Path, new_columns: Sequence[str] = ()) -> int:
    """Write rows to a table of the form of `like`, new columns of texts behind its own; returns how many.

    Raises:
        TranslateError: the two names say different forms.
    """
    suffix = table_suffix(like)
    if not path.name.lower().endswith(suffix):
        raise TranslateError(f"{path}: the output has the form of the input; give it a name that ends in {suffix}")
    rows = _Counted(item.values for item in items)
    with atomic_path(path) as temporary:
        if suffix == ".parquet":
            _write_parquet(temporary, rows, like, new_columns)
        elif suffix in (".csv", ".tsv"):
            _write_delimited(temporary, rows, "," if suffix == ".csv" else "\t")
        else:
            _write_json(temporary, rows, array=suffix == ".json")
    return rows.count


class _Counted:
    def __init__(self, rows: Iterable[Row]) -> None:
        self.count, self._rows = 0, iter(rows)

    def __iter__(self) -> Iterator[Row]:
        return self

    def __next__(self) -> Row:
        row = next(self._rows)
        self.count += 1
        return row


def _write_parquet(path: Path, rows: Iterator[Row], like: Path, new_columns: Sequence[str]) -> None:
    group = list(islice(rows, ROW_GROUP_ROWS))  # now it is known that `like` can be read
    schema = pq.read_schema(like)
    if new_columns:  # of which the file's own metadata, such as a data set's features, know nothing
        schema = pa.schema([*schema, *(pa.field(column, pa.string()) for column in new_columns)])
    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        while group:
            file.write_table(pa.Table.from_pylist(group, schema=schema))
            group = list(islice(rows, ROW_GROUP_ROWS))


def _write_delimited(path: Path, rows: Iterable[Row], delimiter: str) -> None:
    # Bytes that are not UTF-8, in a column that is not translated, go out as they came in.
    with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        table = csv.writer(file, delimiter=delimiter, lineterminator="\r\n")  # so both are quoted in a field
        for index, row in enumerate(rows):
            if not index:
                table.writerow(row)
            table.writerow(row.values())


def _write_json(path: Path, rows: Iterable[Row], *, array: bool) -> None:
    # Half of a surrogate pair can stand in JSON as an escape only, and is written as one.
    with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
        for index, row in enumerate(rows):
            begins = "" if not array else ",\n" if index else "[\n"
            file.write(begins + json.dumps(row, ensure_ascii=False) + "\n" * (not array))
        file.write("\n]\n" * array)
