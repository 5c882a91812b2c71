"""Per-sample results of an unfinished or repeated evaluation, kept so that nothing is computed twice.

`results/<experiment>/work/evaluate/<checkpoint>/<digest>/part-<begin>-<end>.parquet` holds what a benchmark gave
for a stretch of its samples on a checkpoint. The digest covers the benchmark's settings and inputs and nothing
else, so a group that gains a benchmark finds the others here, and a killed job goes on at its first missing
sample. Nothing downstream reads these files; an evaluation's artefact is written from them. Pages carry checksums:
a damaged part, and everything after it, is computed again.
"""

import logging
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from unix_lib.artefacts.files import atomic_path, digest_of

log = logging.getLogger(__name__)
_PART = re.compile(r"part-(\d{8})-(\d{8})\.parquet")


class SampleStore:
    """Results of one benchmark on one checkpoint, in the benchmark's order of samples."""

    def __init__(self, samples: Path, checkpoint: str, identity: Any, schema: pa.Schema) -> None:
        """Look up what is already there.

        Args:
            samples: the folder of all stores, `results/<experiment>/work/evaluate`.
            checkpoint: key of the checkpoint's artefact, `<run>-step-00100-<digest>`.
            identity: JSON value of all that decides the results: settings, scorer version, inputs.
            schema: of a result.
        """
        digest = digest_of(identity)[:16]
        self.folder = samples / checkpoint / digest
        self.schema = schema
        self._tables: list[pa.Table] = []
        self.done = 0
        for begin, end, path in sorted(self._parts()):
            table = self._read(path) if begin == self.done else None
            if table is None or table.num_rows != end - begin:
                log.warning("%s is damaged or out of order; its samples are computed again", path)
                path.unlink()
                continue
            self._tables.append(table)
            self.done = end

    def _parts(self) -> list[tuple[int, int, Path]]:
        if not self.folder.is_dir():
            return []
        found = ((_PART.fullmatch(path.name), path) for path in self.folder.iterdir())
        return [(int(match.group(1)), int(match.group(2)), path) for match, path in found if match]

    def _read(self, path: Path) -> pa.Table | None:
        try:
            table = pq.read_table(path, page_checksum_verification=True, memory_map=False)
        except (OSError, pa.ArrowException):
            return None
        return table if table.schema.equals(self.schema) else None

    def append(self, rows: Sequence[dict[str, Any]]) -> None:
        """Keep the results of the next samples."""
        table = pa.Table.from_pylist(list(rows), schema=self.schema)
        end = self.done + table.num_rows
        with atomic_path(self.folder / f"part-{self.done:08d}-{end:08d}.parquet") as temporary:
            pq.write_table(table, temporary, write_page_checksum=True)
        self._tables.append(table)
        self.done = end

    def rows(self) -> list[dict[str, Any]]:
        """All results so far, in order."""
        return [row for table in self._tables for row in table.to_pylist()]

    def fill(
        self,
        samples: Sequence[Any],
        compute: Callable[[Sequence[Any]], list[dict[str, Any]]],
        *,
        batch_size: int,
        name: str,
    ) -> list[dict[str, Any]]:
        """Compute what is missing, batch by batch, and return all results.

        Args:
            samples: all samples of the benchmark, in a fixed order.
            compute: from a batch of samples to one result each.
            batch_size: samples computed, and kept, together.
            name: of the benchmark, for the log.
        """
        if self.done:
            log.info("%s: %d of %d samples were already there", name, self.done, len(samples))
        started, before = time.monotonic(), self.done
        while self.done < len(samples):
            self.append(compute(samples[self.done : self.done + batch_size]))
            speed = (self.done - before) / max(time.monotonic() - started, 1e-9)
            remaining = (len(samples) - self.done) / speed
            log.info("%s: %d of %d samples, %.1f/s, %.0f s left", name, self.done, len(samples), speed, remaining)
        return self.rows()
