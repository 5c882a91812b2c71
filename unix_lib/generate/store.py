"""Keeps what an unfinished job has computed, sample by sample, so that a killed job goes on at its first missing one.

Sealed folders `<folder>/part-<begin>-<end>/` hold the results of a stretch of samples each. `<folder>` is the work
folder of one artefact, whose digest covers all that decides the results. Nothing downstream reads these files. A
damaged part, and everything after it, is computed again.
"""

import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from unix_lib.artefacts.sealed import is_whole, remove, sealed_folder
from unix_lib.jobs.progress import Progress
from unix_lib.records.schema import Row

log = logging.getLogger(__name__)
_PART = re.compile(r"part-(\d{8})-(\d{8}).*")
_ROWS = "rows.parquet"


class SampleStore:
    """Results of one benchmark on one checkpoint, in the benchmark's order of samples."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        """Look up what is already there, in a folder of this store alone; see `Job.work`."""
        self.folder = folder
        self.schema = schema
        self._tables: list[pa.Table] = []
        self.done = 0
        for begin, end, path in sorted(self._parts()):
            table = pq.read_table(path / _ROWS) if begin == self.done and is_whole(path) else None
            if table is None or not table.schema.equals(self.schema):
                log.warning("%s is damaged or out of order; its samples are computed again", path)
                remove(path)
                continue
            self._tables.append(table)
            self.done = end

    def _parts(self) -> list[tuple[int, int, Path]]:
        if not self.folder.is_dir():
            return []
        found = ((_PART.fullmatch(path.name), path) for path in self.folder.iterdir())
        return [(int(match.group(1)), int(match.group(2)), path) for match, path in found if match]

    def append(self, rows: Sequence[Row]) -> None:
        """Keep the results of the next samples."""
        table = pa.Table.from_pylist(list(rows), schema=self.schema)
        end = self.done + table.num_rows
        with sealed_folder(self.folder / f"part-{self.done:08d}-{end:08d}") as folder:
            pq.write_table(table, folder / _ROWS)
        self._tables.append(table)
        self.done = end

    def table(self) -> pa.Table:
        """All results so far, in order."""
        return pa.concat_tables([self.schema.empty_table(), *self._tables])

    def fill(
        self,
        samples: Sequence[Any],
        compute: Callable[[Sequence[Any]], list[Row]],
        *,
        batch_size: int,
        name: str,
    ) -> pa.Table:
        """Compute what is missing, one result of each sample, batch by batch, and return all results.

        Samples have a fixed order; those of a batch are computed, and kept, together. `name` is for the log.
        """
        if self.done:
            log.info("%s: %d of %d samples were already there", name, self.done, len(samples))
        progress = Progress(len(samples), f"samples of {name}", log)
        progress.advance(self.done, known=self.done)
        while (before := self.done) < len(samples):
            self.append(compute(samples[before : before + batch_size]))
            progress.advance(self.done - before)
        return self.table()
