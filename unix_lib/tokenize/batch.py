"""Tokenizes a batch of records: each once, whatever becomes of it in which mixture and epoch.

A record's own tokens serve every format: a caption is the same tokens before an image and behind it.
"""

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from unix_lib.config.tokenize import Template
from unix_lib.records.schema import CONVERSATION, TOKENIZED, Row
from unix_lib.tokenize.flags import TRAINED, TURN, with_flags
from unix_lib.tokenize.pieces import faults_of, pieces_of
from unix_lib.tokenizers.text import encode_texts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

COLUMNS = ["sample_id", "kind", "text", "messages", "image_ids"]  # what tokenizing needs of a record


@dataclass(frozen=True)
class TokenizedBatch:
    """What became of a batch of records."""

    records: pa.Table  # schema TOKENIZED, the usable ones in order
    faults: list[tuple[str, str, str]]  # sample_id, reason and detail of the others


def tokenize_batch(
    batch: pa.RecordBatch, tokenizer: "PreTrainedTokenizerFast", template: Template = "ours"
) -> TokenizedBatch:
    """Tokenize a batch of records, columns `COLUMNS`, in one call to the tokenizer."""
    usable: list[Row] = []
    faults: list[tuple[str, str, str]] = []
    for row in batch.select(COLUMNS).to_pylist():
        fault = next(faults_of(row), None)
        if fault is None:
            usable.append(row)
        else:
            faults.append((row["sample_id"], *fault))
    pieces = [pieces_of(row, template) for row in usable]
    ids = encode_texts(tokenizer, [text for of_record in pieces for text, _ in of_record])
    trained = np.array([trained for of_record in pieces for _, trained in of_record], dtype=bool)
    of_record = np.repeat(np.arange(len(usable)), [len(each) for each in pieces])
    if template == "ours":
        last = np.diff(of_record, append=len(usable)) > 0
        for answer in np.flatnonzero(trained & ~last).tolist():  # the last piece is ended by the document's own end
            ids[answer].append(tokenizer.eos_token_id)
    lengths = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
    flags = np.repeat(trained.astype(np.uint8) * TRAINED, lengths)
    turns = np.array([template == "published" and row["kind"] == CONVERSATION for row in usable], dtype=bool)
    begins = turns[of_record] & (lengths > 0)
    flags[(np.cumsum(lengths) - lengths)[begins]] |= TURN
    tokens = np.fromiter(chain.from_iterable(ids), dtype=np.int32, count=int(lengths.sum()))
    turn_counts = np.bincount(of_record[begins], minlength=len(usable))
    text_lengths = np.bincount(of_record, lengths, minlength=len(usable)).astype(np.int32)
    records = pa.table(
        {
            "sample_id": [row["sample_id"] for row in usable],
            "kind": [row["kind"] for row in usable],
            "tokens": pa.ListArray.from_arrays(_offsets(text_lengths), pa.array(with_flags(tokens, flags))),
            "trained_length": np.bincount(of_record, lengths * trained, minlength=len(usable)).astype(np.int32),
            "first_trained": _first_trained(flags, text_lengths),
            "turns": pa.ListArray.from_arrays(_offsets(turn_counts), pa.array(trained[begins])),
            "image_ids": [row["image_ids"] or [] for row in usable],
        },
        schema=TOKENIZED,
    )
    return TokenizedBatch(records, faults)


def _first_trained(flags: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Whether each record's first token may be trained, bool; of a record without any, what ends it may."""
    first = np.ones(len(lengths), dtype=bool)
    starts = np.cumsum(lengths) - lengths
    first[lengths > 0] = flags[starts[lengths > 0]] & TRAINED
    return first


def _offsets(counts: np.ndarray) -> pa.Array:
    """Where the entries of each record begin in a list of them all, int32 (records + 1,)."""
    return pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
