"""Writes packs to disk: an Arrow IPC file per epoch, one row a pack, read through a memory map.

Columns: `input_ids` list<int32>, `loss_mask` list<bool>, `document_lengths` list<int32>. A pack holds whole documents
only; its tokens may be fewer than the pack length, never more. The schema's metadata says the pack length (`length`)
and how many rows a record batch has, so that a reader finds a row without reading others.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from unix_lib.artefacts.files import atomic_path
from unix_lib.pack.draws import draw_bits, draw_uniform
from unix_lib.pack.epochs import Documents
from unix_lib.pack.planner import PackError, PackPlan
from unix_lib.pack.sequences import FixedParts, Format
from unix_lib.pack.spool import Spool

TOKENS_PER_BATCH = 1 << 21  # 10 MB in memory
GOLDEN_RATIO = (5**0.5 - 1) / 2
FIELDS = [
    pa.field("input_ids", pa.list_(pa.int32())),
    pa.field("loss_mask", pa.list_(pa.bool_())),
    pa.field("document_lengths", pa.list_(pa.int32())),
]


COUNTS = ("documents", "text_tokens", "image_tokens", "trained_tokens")


@dataclass(frozen=True)
class WrittenTokens:
    """What an epoch's file holds."""

    packs: int
    # int64 (parts, counts): of each part of the mixture `COUNTS`. Image tokens are those of the vision path: codes,
    # separators and <|vision_start|>.
    by_part: np.ndarray

    @property
    def tokens(self) -> int:
        return int(self.by_part[:, 1:3].sum())


def write_packs(
    path: Path,
    documents: Documents,
    lengths: np.ndarray,
    plan: PackPlan,
    *,
    pack_length: int,
    spool: Spool,
    fixed: FixedParts,
    parts: int,
    label: str,
) -> WrittenTokens:
    """Write an epoch's packs in the order of `pack_order`; the file appears when it is whole.

    Args:
        documents: the epoch's documents, N of them.
        lengths: int64 (N,), their tokens.
        spool, fixed: their tokens; every id is checked against the spool's vocabulary.
        parts: of the mixture.
        label: seed and epoch, for the order of the packs.
    """
    vocabulary = spool.vocabulary
    packs_per_batch = max(1, TOKENS_PER_BATCH // pack_length)
    metadata = {"length": str(pack_length), "packs_per_batch": str(packs_per_batch)}
    schema = pa.schema(FIELDS, metadata=metadata)
    vision = np.bincount(plan.pack_of, documents.vision_tokens(spool), minlength=plan.num_packs)
    tokens = np.bincount(plan.pack_of, lengths, minlength=plan.num_packs)
    place = np.empty(plan.num_packs, dtype=np.int64)  # pack -> row in the file
    place[pack_order(vision / tokens, label)] = np.arange(plan.num_packs)
    rows = place[plan.pack_of]
    order = np.lexsort((plan.offset_of, rows))
    borders = np.searchsorted(rows[order], np.arange(0, plan.num_packs + packs_per_batch, packs_per_batch))
    by_part = np.zeros((parts, len(COUNTS)), dtype=np.int64)
    with atomic_path(path) as temporary, pa.ipc.new_file(str(temporary), schema) as writer:
        for start, stop in pairwise(borders.tolist()):
            chosen = order[start:stop]
            ids, loss_mask = _join(documents.only(chosen), lengths[chosen], spool, fixed)
            vocabulary.check(ids)
            starts = np.cumsum(lengths[chosen]) - lengths[chosen]
            seen, trained = (
                np.add.reduceat(marked.astype(np.int64), starts) for marked in (vocabulary.is_vision(ids), loss_mask)
            )
            counts = np.stack([np.ones_like(starts), lengths[chosen] - seen, seen, trained], axis=1)
            np.add.at(by_part, spool.parts[documents.records[chosen]], counts)
            writer.write_batch(_batch(ids, loss_mask, lengths[chosen], rows[chosen], schema))
    return WrittenTokens(plan.num_packs, by_part)


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


def _join(documents: Documents, lengths: np.ndarray, spool: Spool, fixed: FixedParts) -> tuple[np.ndarray, np.ndarray]:
    """Tokens (int32) and loss mask (bool) of documents, one behind the other."""
    ids = np.empty(int(lengths.sum()), dtype=np.int32)
    loss_mask = np.empty(len(ids), dtype=bool)
    start = 0
    columns = (documents.records, documents.forms, documents.phrases, documents.newlines, lengths)
    for record, form, phrase, newlines, length in zip(*(column.tolist() for column in columns), strict=True):
        document_ids, document_mask = fixed.document(Format(form), phrase, newlines, *spool.tokens(record))
        if len(document_ids) != length:
            raise PackError(f"record {spool.ids[record]} gives {len(document_ids)} tokens where {length} were planned")
        ids[start : start + length] = document_ids
        loss_mask[start : start + length] = document_mask
        start += length
    return ids, loss_mask


def _batch(
    ids: np.ndarray, loss_mask: np.ndarray, lengths: np.ndarray, rows: np.ndarray, schema: pa.Schema
) -> pa.RecordBatch:
    """One record batch of packs; `rows` int64 (D,), ascending: the pack of each document."""
    first = np.append(np.flatnonzero(np.diff(rows, prepend=-1)), len(rows))  # documents per pack
    ends = np.append(0, np.cumsum(lengths))
    tokens = pa.array(ends[first].astype(np.int32))
    columns = [
        pa.ListArray.from_arrays(tokens, pa.array(ids)),
        pa.ListArray.from_arrays(tokens, pa.array(loss_mask)),
        pa.ListArray.from_arrays(pa.array(first.astype(np.int32)), pa.array(lengths.astype(np.int32))),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
