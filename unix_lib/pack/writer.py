"""Writes an epoch's plan to disk: an Arrow IPC file, one row a pack, read through a memory map.

Columns, a list each with an entry for every document of the pack: `records` int32 (position in the token store),
`forms` uint8 (`Format`), `phrases` uint8, and where newlines are drawn `newlines` uint64. The schema's metadata says
the pack length (`length`) and how many rows a record batch has, so that a reader finds a row without reading others.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from unix_lib.artefacts.files import atomic_path
from unix_lib.pack.draws import draw_bits, draw_uniform
from unix_lib.pack.epochs import Documents
from unix_lib.pack.planner import PackPlan

PACKS_PER_BATCH = 1 << 14
GOLDEN_RATIO = (5**0.5 - 1) / 2
TYPES = {"records": pa.int32(), "forms": pa.uint8(), "phrases": pa.uint8(), "newlines": pa.uint64()}


def write_plan(
    path: Path, documents: Documents, plan: PackPlan, order: np.ndarray, pack_length: int, *, newlines: bool
) -> None:
    """Write an epoch's packs; the file appears when it is whole.

    Args:
        documents: the epoch's documents, N of them.
        plan: where each goes.
        order: int64 (packs,), the packs in the order of the file.
        newlines: whether they draw newlines.
    """
    columns = {name: type_ for name, type_ in TYPES.items() if newlines or name != "newlines"}
    schema = pa.schema(
        [pa.field(name, pa.list_(type_)) for name, type_ in columns.items()],
        metadata={"length": str(pack_length), "packs_per_batch": str(PACKS_PER_BATCH)},
    )
    place = np.empty(plan.num_packs, dtype=np.int64)  # pack -> row in the file
    place[order] = np.arange(plan.num_packs)
    rows = place[plan.pack_of]
    sequence = np.lexsort((plan.offset_of, rows))
    rows = rows[sequence]
    borders = np.searchsorted(rows, np.arange(0, plan.num_packs + PACKS_PER_BATCH, PACKS_PER_BATCH))
    with atomic_path(path) as temporary, pa.ipc.new_file(str(temporary), schema) as writer:
        for start, stop in pairwise(borders.tolist()):
            batch = documents.only(sequence[start:stop])
            first = np.flatnonzero(np.diff(rows[start:stop], prepend=-1))  # documents that begin a pack
            offsets = pa.array(np.append(first, stop - start).astype(np.int32))
            arrays = [
                pa.ListArray.from_arrays(offsets, pa.array(getattr(batch, name)).cast(type_))
                for name, type_ in columns.items()
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))


def pack_order(vision_share: np.ndarray, label: str) -> np.ndarray:
    """A random order of packs in which text and images stay mixed, int64 (P,).

    Packs are random samples of the short documents, but long ones are packed first and by length, so that packs still
    differ in their share of images: in a plain shuffle an optimizer step of a few packs may have one modality only.
    Here packs of equal share (in tenths) are shuffled, and the file takes them from all shares in turn, in steps of
    the golden ratio, so that any few neighbours are about as mixed as the whole.

    Args:
        vision_share: float64 (P,), share of a pack's tokens that take the vision path.
        label: seed and epoch.
    """
    packs = np.arange(len(vision_share), dtype=np.uint64)
    by_share = np.lexsort((draw_bits(packs, f"{label}/packs"), np.round(vision_share * 10)))
    start = draw_uniform(np.zeros(1, dtype=np.uint64), f"{label}/first")
    rank = np.empty(len(packs), dtype=np.int64)
    rank[np.argsort((start + packs * GOLDEN_RATIO) % 1.0, kind="stable")] = np.arange(len(packs))
    order: np.ndarray = by_share[rank]
    return order
