"""Tokenizes records: each once, whatever becomes of it in which epoch.

A record's own tokens serve every format: a caption is the same tokens before an image and behind it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from unix_lib.config.pack import Template
from unix_lib.pack.formats import TRAINED, TURN, conversation_pieces
from unix_lib.pack.image_codes import ABSENT, ImageCodes
from unix_lib.records.schema import CONVERSATION, IMAGE_TEXT, ROLES, TEXT, Row
from unix_lib.tokenizers.text import encode_texts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

COLUMNS = ["sample_id", "kind", "text", "messages", "image_ids"]  # what packing needs of a record


@dataclass(frozen=True)
class TokenizedRecord:
    """A record's own tokens, and the images that it shows."""

    sample_id: str
    kind: str
    text: np.ndarray  # int32
    flags: np.ndarray  # uint8, `TRAINED` and `TURN` of `unix_lib.pack.formats`
    images: list[int]  # rows of their codes in the spool, in order


@dataclass(frozen=True)
class UnusableRecord:
    """A record that can't become a document."""

    sample_id: str
    reason: str
    detail: str


def tokenize_batch(
    batch: pa.RecordBatch,
    images: ImageCodes,
    tokenizer: "PreTrainedTokenizerFast",
    eos_id: int,
    template: Template = "ours",
) -> list[TokenizedRecord | UnusableRecord]:
    """Tokenize a batch of records, columns `COLUMNS`, in one call to the tokenizer; one entry per row, in order."""
    rows = batch.select(COLUMNS).to_pylist()
    found = iter(images.rows_of([image_id for row in rows for image_id in row["image_ids"] or []]))
    places = [[next(found) for _ in row["image_ids"] or []] for row in rows]
    checked = [_pieces_of(row, shown, images, template) for row, shown in zip(rows, places, strict=True)]
    encoded = iter(
        encode_texts(tokenizer, [text for pieces in checked if isinstance(pieces, list) for text, _ in pieces])
    )
    records: list[TokenizedRecord | UnusableRecord] = []
    for row, shown, pieces in zip(rows, places, checked, strict=True):
        if isinstance(pieces, UnusableRecord):
            records.append(pieces)
            continue
        flags = [TRAINED * trained for _, trained in pieces]
        ids = [next(encoded) for _ in pieces]
        if template == "ours":
            for answer in np.flatnonzero(flags[:-1]):  # the last part is ended by the document's own end
                ids[answer].append(eos_id)
        of_tokens = np.repeat(np.array(flags, dtype=np.uint8), [len(piece) for piece in ids])
        if template == "published" and row["kind"] == CONVERSATION:
            of_tokens[np.cumsum([0, *map(len, ids[:-1])])] |= TURN
        records.append(
            TokenizedRecord(
                sample_id=row["sample_id"],
                kind=row["kind"],
                text=np.fromiter(chain.from_iterable(ids), dtype=np.int32),
                flags=of_tokens,
                images=shown,
            )
        )
    return records


def _pieces_of(
    row: Row, places: list[int], images: ImageCodes, template: Template
) -> list[tuple[str, bool]] | UnusableRecord:
    """Texts of a record to be tokenized and whether they may be trained, or what is wrong with it."""
    for reason, detail in _faults(row, places, images):
        return UnusableRecord(row["sample_id"], reason, detail)
    if row["kind"] == CONVERSATION:
        return conversation_pieces(row["messages"], template)
    return [(row["text"] if row["kind"] == TEXT else row["text"].strip(), True)]


def _faults(row: Row, places: list[int], images: ImageCodes) -> Iterator[tuple[str, str]]:
    """What keeps a record from becoming a document: (reason, detail)."""
    kind = row["kind"]
    if kind not in (TEXT, IMAGE_TEXT, CONVERSATION):
        yield "unknown_kind", f"kind '{kind}'; known: {TEXT}, {IMAGE_TEXT}, {CONVERSATION}"
    if kind == IMAGE_TEXT and not places:
        yield "no_image_codes", f"an {IMAGE_TEXT} record without image"
    if kind == IMAGE_TEXT and len(places) > 1:
        yield "several_images", f"an {IMAGE_TEXT} record shows one image, this one {len(places)}"
    for image_id, place in zip(row["image_ids"] or [], places, strict=True):
        if place == ABSENT:
            yield images.fault_of(image_id)
    if kind == CONVERSATION:
        messages = row["messages"] or []
        for message in messages:
            if message["role"] not in ROLES:
                yield "unknown_role", f"role '{message['role']}'; known: {', '.join(ROLES)}"
            if not (message["content"] or "").strip():
                yield "empty_turn", f"a turn of the {message['role']} without text"
        if not any(message["role"] == "assistant" for message in messages):
            yield "no_assistant_turn", f"{len(messages)} turns, none of the assistant"
    elif not (row["text"] or "").strip():
        yield "empty_text", f"a record of kind {kind} without text"
