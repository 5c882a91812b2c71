"""Token sequences of a source for the entropy analysis: documents of a text source, images of an image source.

What flows in: a source's training records. What flows out: sequences in a seeded order. A source with images gives
the codes of its `image_text` records, row-major, each image once (a conversation record repeats an image that has
an `image_text` record); a source without gives its documents in the experiment's text tokens, without special tokens.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from unix_lib.analyze.errors import AnalysisError
from unix_lib.records.schema import IMAGE_TEXT, TEXT
from unix_lib.records.shards import read_split, shard_paths

DOCUMENTS_PER_BATCH = 1000


@dataclass(frozen=True)
class SourceSequences:
    """Sequences of one source, at least `tokens` tokens or all there are."""

    modality: str  # text | image
    sequences: list[np.ndarray]
    tokens: int


def read_sequences(folder: Path, source: str, tokenizer_file: Path, budget: int, seed: int) -> SourceSequences:
    """Read sequences of a source until their tokens reach the budget.

    Args:
        folder: the source's records, encoded where it has images.
        source: its name; part of the seed and of error messages.
        tokenizer_file: `tokenizer.json` of the text tokenizer.
        budget: tokens wanted.
        seed: seed of the order of the records.

    Raises:
        AnalysisError: the source has no sequence.
    """
    has_codes = "image_codes" in pq.read_schema(shard_paths(folder, "train")[0]).names
    column, kind = ("image_codes", IMAGE_TEXT) if has_codes else ("text", TEXT)
    table = read_split(folder, "train", columns=["kind", column])
    values = table.filter(pc.equal(table["kind"], kind))[column]
    if not len(values):
        raise AnalysisError(
            f"{folder}: source '{source}' has no '{kind}' record to measure; remove it from analyze.entropy.sources"
        )
    name_seed = int.from_bytes(hashlib.sha256(source.encode()).digest()[:4], "little")
    order = np.random.default_rng([seed, name_seed]).permutation(len(values))
    sequences = _codes(values, order, budget) if has_codes else _documents(values, order, budget, tokenizer_file)
    return SourceSequences("image" if has_codes else "text", sequences, sum(map(len, sequences)))


def _codes(values: pa.ChunkedArray, order: np.ndarray, budget: int) -> list[np.ndarray]:
    merged = values.combine_chunks()
    flat, offsets = merged.values.to_numpy(), merged.offsets.to_numpy()
    lengths = np.diff(offsets)[order]
    taken = order[: int(np.searchsorted(np.cumsum(lengths), budget)) + 1]
    return [flat[offsets[index] : offsets[index + 1]] for index in taken]


def _documents(values: pa.ChunkedArray, order: np.ndarray, budget: int, tokenizer_file: Path) -> list[np.ndarray]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    sequences: list[np.ndarray] = []
    total = 0
    for begin in range(0, len(order), DOCUMENTS_PER_BATCH):
        texts = values.take(pa.array(order[begin : begin + DOCUMENTS_PER_BATCH])).to_pylist()
        for encoding in tokenizer.encode_batch(texts, add_special_tokens=False):
            sequences.append(np.array(encoding.ids, dtype=np.int64))
            total += len(encoding.ids)
            if total >= budget:
                return sequences
    return sequences
