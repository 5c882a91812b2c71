"""Records to tokens: each record tokenized once, whatever becomes of it in which epoch.

What flows in: batches of records. What flows out: a `TokenizedRecord` or the reason why there is none. A record's own
tokens serve every format: a caption is the same tokens before an image and behind it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from unix_lib.pack.sequences import NO_CODES, conversation_pieces
from unix_lib.records.schema import CONVERSATION, IMAGE_TEXT, TEXT
from unix_lib.tokenizers.text import encode_texts
from unix_lib.tokenizers.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# Columns that packing needs of a record; `image_codes` where the source has images.
COLUMNS = ["sample_id", "kind", "text", "messages"]


@dataclass(frozen=True)
class TokenizedRecord:
    """A record's own tokens; int32 ids, `text_mask` says which of `text` may be trained."""

    sample_id: str
    kind: str
    text: np.ndarray  # int32
    text_mask: np.ndarray  # bool
    codes: np.ndarray  # uint16; empty without image


@dataclass(frozen=True)
class UnusableRecord:
    """A record that can't become a document."""

    sample_id: str
    reason: str
    detail: str


def tokenize_batch(
    batch: pa.RecordBatch, tokenizer: "PreTrainedTokenizerFast", vocabulary: Vocabulary
) -> list[TokenizedRecord | UnusableRecord]:
    """Tokenize a batch of records in one call to the tokenizer.

    Args:
        batch: columns `sample_id, kind, text, messages`, and `image_codes` where the source has images.

    Returns:
        One entry per row, in order.
    """
    images = _codes_of(batch)
    rows = batch.select(COLUMNS).to_pylist()
    checked = [_pieces_of(row, codes, vocabulary) for row, codes in zip(rows, images, strict=True)]
    encoded = iter(
        encode_texts(tokenizer, [text for pieces in checked if isinstance(pieces, list) for text, _ in pieces])
    )
    records: list[TokenizedRecord | UnusableRecord] = []
    for row, codes, pieces in zip(rows, images, checked, strict=True):
        if isinstance(pieces, UnusableRecord):
            records.append(pieces)
            continue
        trained = [mask for _, mask in pieces]
        ids = [next(encoded) for _ in pieces]
        for answer in np.flatnonzero(trained[:-1]):  # the last part is ended by the document's own end
            ids[answer].append(vocabulary.eos_id)
        records.append(
            TokenizedRecord(
                sample_id=row["sample_id"],
                kind=row["kind"],
                text=np.fromiter(chain.from_iterable(ids), dtype=np.int32),
                text_mask=np.repeat(np.array(trained, dtype=bool), [len(piece) for piece in ids]),
                codes=NO_CODES if codes is None else codes,
            )
        )
    return records


def _codes_of(batch: pa.RecordBatch) -> list[np.ndarray | None]:
    """Image codes per row without a detour through Python integers; None where a row has no image."""
    if "image_codes" not in batch.schema.names:
        return [None] * batch.num_rows
    column = batch.column("image_codes")
    values = column.values.to_numpy(zero_copy_only=False)
    offsets, valid = column.offsets.to_numpy(), column.is_valid().to_numpy(zero_copy_only=False)
    return [values[offsets[i] : offsets[i + 1]] if valid[i] else None for i in range(batch.num_rows)]


def _pieces_of(
    row: dict[str, Any], codes: np.ndarray | None, vocabulary: Vocabulary
) -> list[tuple[str, bool]] | UnusableRecord:
    """Texts of a record to be tokenized and whether they may be trained, or what is wrong with it."""
    for reason, detail in _faults(row, codes, vocabulary):
        return UnusableRecord(row["sample_id"], reason, detail)
    if row["kind"] == CONVERSATION:
        return conversation_pieces(row["messages"])
    return [(row["text"] if row["kind"] == TEXT else row["text"].strip(), True)]


def _faults(row: dict[str, Any], codes: np.ndarray | None, vocabulary: Vocabulary) -> Iterator[tuple[str, str]]:
    """What keeps a record from becoming a document: (reason, detail)."""
    kind = row["kind"]
    if kind not in (TEXT, IMAGE_TEXT, CONVERSATION):
        yield "unknown_kind", f"kind '{kind}'; known: {TEXT}, {IMAGE_TEXT}, {CONVERSATION}"
    if kind == IMAGE_TEXT and codes is None:
        yield "no_image_codes", f"an {IMAGE_TEXT} record without image codes"
    if codes is not None and len(codes) != vocabulary.codes_per_image:
        yield "wrong_code_count", f"{len(codes)} codes, an image has {vocabulary.codes_per_image}"
    elif codes is not None and codes.max() >= vocabulary.codebook_size:
        yield "code_out_of_range", f"code {codes.max()}, the codebook has {vocabulary.codebook_size}"
    if kind == CONVERSATION:
        messages = row["messages"] or []
        for message in messages:
            if message["role"] not in ("user", "assistant"):
                yield "unknown_role", f"role '{message['role']}'; known: user, assistant"
            if not (message["content"] or "").strip():
                yield "empty_turn", f"a turn of the {message['role']} without text"
        if not any(message["role"] == "assistant" for message in messages):
            yield "no_assistant_turn", f"{len(messages)} turns, none of the assistant"
    elif not (row["text"] or "").strip():
        yield "empty_text", f"a record of kind {kind} without text"
