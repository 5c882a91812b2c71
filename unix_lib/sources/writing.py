"""Writes what a source's job makes: both splits, and the table of what was set aside."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unix_lib.artefacts.manifest import Facts, Manifest
from unix_lib.images.files import image_row
from unix_lib.jobs.job import Job
from unix_lib.records.rejected import RejectedSamples
from unix_lib.records.schema import IMAGE, RECORD, Row
from unix_lib.records.shards import SPLITS, ShardWriter, Split

Files = dict[str, int | None]


class ImageWriter(ShardWriter):
    """A `ShardWriter` of `IMAGE` rows that leaves out an image that came before."""

    def __init__(self, folder: Path, split: Split) -> None:
        super().__init__(folder, split, IMAGE)
        self._written: set[str] = set()

    def write(self, row: Row) -> None:
        """Add an image unless the split has it."""
        if row["image_id"] not in self._written:
            self._written.add(row["image_id"])
            super().write(row)


def write_images(folder: Path, images_of: Callable[[Split], Iterable[np.ndarray]]) -> tuple[Files, Facts]:
    """Write the images of both splits, uint8 (height, width, 3), each different one of a split once."""
    writers = [ImageWriter(folder, split) for split in SPLITS]
    return _write("images", writers, lambda split: map(image_row, images_of(split)))


def write_records(folder: Path, rows_of: Callable[[Split], Iterable[Row]]) -> tuple[Files, Facts]:
    """Write the records of both splits, rows of `RECORD`."""
    return _write("records", [ShardWriter(folder, split, RECORD) for split in SPLITS], rows_of)


def _write(
    what: str, writers: Sequence[ShardWriter], rows_of: Callable[[Split], Iterable[dict[str, Any]]]
) -> tuple[Files, Facts]:
    files: Files = {}
    for split, writer in zip(SPLITS, writers, strict=True):
        with writer:
            for row in rows_of(split):
                writer.write(row)
        files |= writer.files
    return files, {f"{writer.split}_{what}": writer.rows for writer in writers}


def finish(job: Job[Any, Any], files: Files, facts: Facts, rejected: RejectedSamples | None = None) -> Manifest:
    """Write the table of rejected samples, which every source has, and the manifest."""
    rejected = rejected or RejectedSamples()
    return job.finish({**files, **rejected.write(job.folder)}, rejected=rejected.counts, facts=facts)
