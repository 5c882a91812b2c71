"""Keeps account of samples that are set aside: never fatal, never silent.

Each goes into `rejected.parquet`, which is written even when it is empty, with where it came from and one of a stage's
fixed reasons; the manifest carries the counts by reason. However many there are, few of them are in memory.
"""

import logging
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from unix_lib.artefacts.files import atomic_path
from unix_lib.records.schema import REJECTED

REJECTED_FILE = "rejected.parquet"
LONGEST_DETAIL = 500  # characters; a corrupt row must not bloat the table

_log = logging.getLogger(__name__)


def encodable(text: str) -> str:
    """A text that UTF-8 can hold: what it can't, such as a byte of an undecodable file name, becomes an escape."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


ROWS_AS_OBJECTS = 4096  # which take ten times as much room as in a batch
ROW_GROUP_ROWS = 1 << 20
BYTES_IN_MEMORY = 32 << 20  # of compressed batches; more of them lie on disk


class RejectedSamples:
    """Collects rejected samples in the order in which they were met."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._last: list[dict[str, str | None]] = []
        self._spool = tempfile.SpooledTemporaryFile(BYTES_IN_MEMORY)  # noqa: SIM115  # batches of those before them
        self._stream: pa.ipc.RecordBatchStreamWriter | None = None
        self.first: str | None = None  # the first sample in a few words: where it came from, and what was wrong

    def add(
        self, sample_id: str, origin: str, reason: str, detail: str | None = None, *, cause: BaseException | None = None
    ) -> None:
        """Set one sample aside.

        Args:
            sample_id: the sample's id, or what stands for it when it has none yet.
            origin: file and row that it came from.
            reason: short and fixed, so that reasons can be counted.
            detail: what exactly was wrong, in words that repeat: none of another library's, no address, no time.
            cause: what was caught; its own words go to the log.
        """
        if cause is not None:
            _log.info("%s: %s (%s: %s)", encodable(origin), reason, type(cause).__name__, cause)
        detail = detail if detail is None else encodable(detail)[:LONGEST_DETAIL]
        row = {"sample_id": encodable(sample_id), "origin": encodable(origin), "reason": reason, "detail": detail}
        self._append(row)

    def extend(self, others: "RejectedSamples") -> None:
        """Set aside what was set aside elsewhere."""
        for row in others.rows:
            self._append(row)

    def extend_from(self, folder: Path) -> None:
        """Set aside what `write` wrote to a folder."""
        for row in pq.read_table(folder / REJECTED_FILE).to_pylist():
            self._append(row)

    def __len__(self) -> int:
        return self._counts.total()

    @property
    def rows(self) -> Iterator[dict[str, str | None]]:
        """The samples by column, in the order in which they were met."""
        return (row for batch in self._batches() for row in batch.to_pylist())

    def _append(self, row: dict[str, str | None]) -> None:
        self.first = self.first or f"{row['origin']}: {row['detail'] or row['reason']}"
        self._counts[str(row["reason"])] += 1
        self._last.append(row)
        if len(self._last) == ROWS_AS_OBJECTS:
            if self._stream is None:
                options = pa.ipc.IpcWriteOptions(compression="zstd")
                self._stream = pa.ipc.new_stream(self._spool, REJECTED, options=options)
            self._stream.write_batch(pa.RecordBatch.from_pylist(self._last, schema=REJECTED))
            self._last = []

    def _batches(self) -> Iterator[pa.RecordBatch]:
        if self._stream is not None:
            self._spool.seek(0)
            yield from pa.ipc.open_stream(self._spool)
            self._spool.seek(0, os.SEEK_END)
        if self._last or self._stream is None:
            yield pa.RecordBatch.from_pylist(self._last, schema=REJECTED)

    @property
    def counts(self) -> dict[str, int]:
        """Reason -> samples, sorted by reason."""
        return dict(sorted(self._counts.items()))

    def write(self, folder: Path) -> dict[str, int]:
        """Write `rejected.parquet`; returns it with its rows, as `Job.finish` takes files."""
        with (
            atomic_path(folder / REJECTED_FILE) as temporary,
            pq.ParquetWriter(temporary, REJECTED, compression="zstd") as writer,
        ):
            group: list[pa.RecordBatch] = []
            for batch in self._batches():
                group.append(batch)
                if len(group) * ROWS_AS_OBJECTS == ROW_GROUP_ROWS:
                    writer.write_table(pa.Table.from_batches(group, REJECTED).combine_chunks())
                    group = []
            if group:
                writer.write_table(pa.Table.from_batches(group, REJECTED).combine_chunks())
        return {REJECTED_FILE: len(self)}


def reasons_in(folder: Path) -> dict[str, str]:
    """Why samples were set aside, by their ids, as `RejectedSamples.write` wrote it to a folder."""
    table = pq.read_table(folder / REJECTED_FILE, columns=["sample_id", "reason"])
    return dict(zip(*table.to_pydict().values(), strict=True))
