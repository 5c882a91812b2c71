"""Writes and reads the shards of a split: `train-00000.parquet`, `train-00001.parquet`, ..., `heldout-00000.parquet`.

Records, images and codes are all kept so, in few large files, each whole or absent. The writer keeps one row group in
memory, so a split may be larger than the machine's memory; the price is that a killed job starts its split again.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import atomic_path
from unix_lib.records.rejected import encodable
from unix_lib.records.schema import Row

Split = Literal["train", "heldout"]
SPLITS: tuple[Split, ...] = ("train", "heldout")

# Few large shards: file systems and version control both suffer from many small files.
SHARD_BYTES = 1 << 30
ROW_GROUP_BYTES = 32 << 20
ROW_GROUP_ROWS = 4096
LOG_SECONDS = 10.0

_log = logging.getLogger(__name__)


class RecordsError(UserError):
    """Shards that are missing, or that don't hold what is asked of them."""


class ShardWriter:
    """Context manager that writes one split, row by row or table by table.

    At least one shard is written, even when no row comes, so that a reader always finds the split. After the block,
    `files` maps file names (relative to the folder) to rows: what `Job.finish` takes.
    """

    def __init__(self, folder: Path, split: str, schema: pa.Schema, *, shard_bytes: int = SHARD_BYTES) -> None:
        self.folder, self.split, self.schema, self.shard_bytes = folder, split, schema, shard_bytes
        self._names = frozenset(schema.names)
        self.files: dict[str, int] = {}
        self.rows = 0
        self._pending: list[Row] = []
        self._pending_bytes = 0
        self._shard: ExitStack | None = None
        self._shard_name = ""
        self._shard_rows = 0
        self._shard_size = 0
        self._started = self._logged = time.monotonic()

    def __enter__(self) -> "ShardWriter":
        self.folder.mkdir(parents=True, exist_ok=True)
        for leftover in self.folder.glob(f"{self.split}-*.parquet"):  # of an attempt that was killed
            leftover.unlink()
        return self

    def write(self, row: Row) -> None:
        """Add one row; fields that are absent become null, and an id that no file can hold is escaped.

        Raises:
            RecordsError: the schema has no such field, so that it would be lost.
        """
        if unknown := row.keys() - self._names:
            raise RecordsError(
                f"{self.folder}, a row of {self.split}: no column is called {', '.join(sorted(unknown))}; there are "
                f"{', '.join(self.schema.names)}"
            )
        if "sample_id" in row:
            row = row | {"sample_id": encodable(row["sample_id"])}
        self._pending.append(row)
        self._pending_bytes += _payload(row)
        if len(self._pending) >= ROW_GROUP_ROWS or self._pending_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def write_table(self, table: pa.Table) -> None:
        """Add a table as one row group; the schema's columns are taken of it."""
        self._flush()
        if table.num_rows:
            self._append(table.select(self.schema.names).cast(self.schema))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._flush()
            if not self.files and self._shard is None:
                self._open()
            self._close()
        elif self._shard is not None:  # atomic_path removes the part file when it sees the error
            self._shard.__exit__(kind, error, trace)

    def _flush(self) -> None:
        if self._pending:
            self._append(pa.Table.from_pylist(self._pending, schema=self.schema))
            self._pending, self._pending_bytes = [], 0

    def _append(self, table: pa.Table) -> None:
        if self._shard is None:
            self._open()
        self._writer.write_table(table)
        self._shard_rows += table.num_rows
        self._shard_size += table.nbytes
        self.rows += table.num_rows
        now = time.monotonic()
        if now - self._logged >= LOG_SECONDS:
            _log.info("%s: %d rows, %.0f rows/s", self.split, self.rows, self.rows / (now - self._started))
            self._logged = now
        if self._shard_size >= self.shard_bytes:
            self._close()

    def _open(self) -> None:
        self._shard_name = f"{self.split}-{len(self.files):05d}.parquet"
        self._shard = ExitStack()
        temporary = self._shard.enter_context(atomic_path(self.folder / self._shard_name))
        self._writer = self._shard.enter_context(pq.ParquetWriter(temporary, self.schema, compression="zstd"))
        self._shard_rows = self._shard_size = 0

    def _close(self) -> None:
        if self._shard is not None:
            self._shard.close()
            self.files[self._shard_name] = self._shard_rows
            self._shard = None


def _payload(row: Row) -> int:
    """Bytes of a row that matter for memory: its image, codes and text."""
    image, codes, text = row.get("image"), row.get("image_codes"), row.get("text")
    return len(image or b"") + 8 * (0 if codes is None else len(codes)) + len(text or "")


def shard_paths(folder: Path, split: str) -> list[Path]:
    """The split's shards, in order.

    Raises:
        RecordsError: the folder has none.
    """
    paths = sorted(folder.glob(f"{split}-*.parquet"))
    if not paths:
        raise RecordsError(f"{folder}: no {split}-*.parquet; delete the folder and run the workflow again")
    return paths


def count_rows(folder: Path, split: Split) -> int:
    """Rows of a split, from the shards' footers."""
    return sum(pq.read_metadata(path).num_rows for path in shard_paths(folder, split))


def read_split(folder: Path, split: Split, columns: list[str] | None = None) -> pa.Table:
    """A whole split in memory; `columns=None` takes all."""
    return pa.concat_tables([pq.read_table(path, columns=columns) for path in shard_paths(folder, split)])


def iterate_batches(
    folder: Path, split: str, columns: list[str] | None = None, batch_rows: int = 1024
) -> Iterator[pa.RecordBatch]:
    """A split in record batches of at most `batch_rows` rows, in order, one in memory at a time."""
    for path in shard_paths(folder, split):
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=batch_rows, columns=columns)


def iterate_rows(folder: Path, split: str, columns: list[str] | None = None) -> Iterator[Row]:
    """A split row by row, in order."""
    for batch in iterate_batches(folder, split, columns):
        yield from batch.to_pylist()
