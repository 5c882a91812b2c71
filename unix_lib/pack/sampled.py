"""A random sample of a source's held-out rows that nobody picked, at a cost that does not grow with the source.

Of at most `PARTS` of the source's parts, spread evenly, it takes the rows whose names have the smallest hashes. Where
nothing is held out it takes training rows, and says so.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unix_lib.pack.draws import hash_text
from unix_lib.records.schema import IMAGE_TEXT, Row
from unix_lib.records.shards import SPLITS, Split, count_rows, iterate_batches, read_split

PARTS = 4  # ASSUME: enough of a source that is cut into hundreds


def split_looked_at(folders: Sequence[Path]) -> Split:
    """The held-out rows, where any of these artefacts has some."""
    return "heldout" if any(count_rows(folder, "heldout") for folder in folders) else "train"


def some_parts(parts: int) -> list[int]:
    """Which of so many parts are looked at."""
    count = min(parts, PARTS)
    return [index * parts // count for index in range(count)]


def captioned_rows(folders: Sequence[Path], split: Literal["heldout", "all"], count: int | None) -> list[Row]:
    """A sample of records that are one image's caption: `sample_id`, `text`, `image_ids`; held-out ones first."""
    columns = ["sample_id", "text", "image_ids"]
    where = (pc.list_value_length(pc.field("image_ids")) == 1) & (pc.field("kind") == IMAGE_TEXT)
    where &= pc.utf8_length(pc.utf8_trim_whitespace(pc.field("text"))) > 0
    rows: list[Row] = []
    for one in ("heldout",) if split == "heldout" else SPLITS[::-1]:
        left = sys.maxsize if count is None else count - len(rows)
        rows += sampled_rows(folders, one, ["sample_id", "kind", *columns[1:]], left, where=where).to_pylist()
    return rows


def sampled_rows(
    folders: Sequence[Path], split: Split, columns: list[str], count: int, *, where: pc.Expression | None = None
) -> pa.Table:
    """At most `count` rows of a split, of those that `where` holds for.

    The first of `columns` is what a row is called.
    """
    kept: pa.Table | None = None
    for folder in folders:
        for batch in iterate_batches(folder, split, columns):
            rows = pa.Table.from_batches([batch])
            rows = rows if where is None else rows.filter(where)
            rows = rows.append_column("order", pa.array([hash_text(name.as_py()) for name in rows[0]], pa.uint64()))
            rows = rows if kept is None else pa.concat_tables([kept, rows])
            kept = rows.take(np.argsort(rows["order"].to_numpy(), kind="stable")[:count])
    return read_split(folders[0], split, columns) if kept is None else kept.select(columns)
