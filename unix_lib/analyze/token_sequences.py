"""Reads a source's token sequences for the entropy analysis: documents of a text source, images of an image source.

A source with images gives the codes of its `image_text` records, row-major (a conversation record repeats an image that
has an `image_text` record); a source without gives its documents in the experiment's text tokens, without special
tokens. Sequences come in a seeded order.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unix_lib.analyze.errors import AnalysisError
from unix_lib.records.schema import IMAGE_TEXT, TEXT
from unix_lib.records.shards import read_split

DOCUMENTS_PER_BATCH = 1000


@dataclass(frozen=True)
class SourceSequences:
    """Sequences of one source, at least `tokens` tokens or all there are."""

    modality: str  # text | image
    sequences: list[np.ndarray]
    tokens: int


def read_sequences(
    source: str, records: list[Path], codes: list[Path], *, tokenizer_file: Path, budget: int, seed: int
) -> SourceSequences:
    """Read sequences of a source's training split until their tokens reach the budget.

    Args:
        source: its name, part of the seed of the records' order.
        records, codes: its artefacts; none of codes for a text source.

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
    if images is None:
        sequences = _documents(values, order, budget, tokenizer_file)
    else:
        sequences = _codes(images["image_codes"], values.to_numpy()[order], budget)
    return SourceSequences("text" if images is None else "image", sequences, sum(map(len, sequences)))


def _codes(codes: pa.ChunkedArray, rows: np.ndarray, budget: int) -> list[np.ndarray]:
    lengths = pc.list_value_length(codes).to_numpy()[rows]
    taken = rows[: int(np.searchsorted(np.cumsum(lengths), budget)) + 1]
    return [codes[row].values.to_numpy() for row in taken.tolist()]


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
