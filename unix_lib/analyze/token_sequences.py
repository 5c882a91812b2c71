"""Reads a source's token sequences for the entropy analysis: documents of a text source, images of an image source.

A source with images gives the codes of its `image_text` records, row-major (a conversation record repeats an image that
has an `image_text` record); a source without gives its documents in the experiment's text tokens, without special
tokens. Sequences come in a seeded order, into a file that is then memory-mapped: a budget may be larger than memory.
"""

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unix_lib.analyze.errors import AnalysisError
from unix_lib.records.schema import IMAGE_TEXT, TEXT
from unix_lib.records.shards import read_split

SEQUENCES_PER_BATCH = 1000
Batch = tuple[np.ndarray, np.ndarray]  # tokens of some sequences, one after the other, and their lengths


@dataclass(frozen=True)
class SourceSequences:
    """Sequences of one source, at least as many tokens as were asked for or all there are.

    Attributes:
        modality: text | image.
        tokens: uint32 (T,), memory-mapped, sequences one after the other.
        lengths: int64 (S,).
    """

    modality: str
    tokens: np.ndarray
    lengths: np.ndarray

    def first(self, budget: int) -> tuple[np.ndarray, np.ndarray]:
        """Exactly `budget` tokens from the front, and the lengths of the sequences taken; the last one taken is cut."""
        ends = np.cumsum(self.lengths)
        count = int(np.searchsorted(ends, budget)) + 1
        lengths = self.lengths[:count].copy()
        lengths[-1] -= int(ends[count - 1]) - budget
        return self.tokens[:budget], lengths


def read_sequences(
    source: str, records: list[Path], codes: list[Path], *, tokenizer_file: Path, budget: int, seed: int, folder: Path
) -> SourceSequences:
    """Read sequences of a source's training split until their tokens reach the budget.

    Args:
        source: its name, part of the seed of the records' order.
        records, codes: its artefacts; none of codes for a text source.
        folder: where the tokens go, into a file without a name.

    Raises:
        AnalysisError: the source has no sequence.
    """
    column, kind = ("image_ids", IMAGE_TEXT) if codes else ("text", TEXT)
    table = pa.concat_tables([read_split(folder, "train", columns=["kind", column]) for folder in records])
    values = table.filter(pc.equal(table["kind"], kind))[column]
    images = pa.concat_tables([read_split(folder, "train") for folder in codes]) if codes else None
    if images is not None:  # from here on rows of `images`, without those of images that have no codes
        values = pc.index_in(pc.list_flatten(values), value_set=images["image_id"].combine_chunks()).drop_null()
    if not len(values):
        raise AnalysisError(
            f"source '{source}' has no '{kind}' record to measure; remove it from analyze.entropy.sources"
        )
    name_seed = int.from_bytes(hashlib.sha256(source.encode()).digest()[:4], "little")
    order = np.random.default_rng([seed, name_seed]).permutation(len(values))
    batches = (
        _documents(values, order, tokenizer_file)
        if images is None
        else _codes(images["image_codes"], values.to_numpy()[order])
    )
    lengths: list[np.ndarray] = []
    tokens = 0
    with tempfile.TemporaryFile(dir=folder) as spool:
        for batch, of_each in batches:
            batch.astype(np.uint32).tofile(spool)
            lengths.append(of_each)
            tokens += len(batch)
            if tokens >= budget:
                break
        spool.flush()
        mapped = np.memmap(spool, dtype=np.uint32, mode="r") if tokens else np.empty(0, np.uint32)
    return SourceSequences("text" if images is None else "image", mapped, np.concatenate(lengths))


def _codes(codes: pa.ChunkedArray, rows: np.ndarray) -> Iterator[Batch]:
    for begin in range(0, len(rows), SEQUENCES_PER_BATCH):
        taken = codes.take(pa.array(rows[begin : begin + SEQUENCES_PER_BATCH]))
        yield pc.list_flatten(taken).to_numpy(), pc.list_value_length(taken).to_numpy().astype(np.int64)


def _documents(values: pa.ChunkedArray, order: np.ndarray, tokenizer_file: Path) -> Iterator[Batch]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    for begin in range(0, len(order), SEQUENCES_PER_BATCH):
        texts = values.take(pa.array(order[begin : begin + SEQUENCES_PER_BATCH])).to_pylist()
        ids = [encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
        yield np.fromiter(chain.from_iterable(ids), dtype=np.uint32), np.array([len(of) for of in ids], dtype=np.int64)
