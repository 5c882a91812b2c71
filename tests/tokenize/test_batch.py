"""Records to tokens, and every reason to set a record aside that needs no image to be seen."""

import itertools
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from transformers import PreTrainedTokenizerFast

from tests.pack.experiment import as_record, conversation_record, image_record, text_record
from unix_lib.config.tokenize import Template
from unix_lib.records.schema import RECORD
from unix_lib.tokenize.batch import TokenizedBatch, tokenize_batch
from unix_lib.tokenize.flags import TRAINED, TURN, without_flags


def tokenized(
    rows: list[dict[str, Any]], tokenizer: PreTrainedTokenizerFast, template: Template = "ours"
) -> TokenizedBatch:
    batch = pa.RecordBatch.from_pylist([as_record(row, "test") for row in rows], schema=RECORD)
    return tokenize_batch(batch, tokenizer, template)


def by_record(batch: TokenizedBatch) -> list[tuple[np.ndarray, np.ndarray]]:
    """Ids and flags of each record."""
    return [without_flags(tokens.values.to_numpy()) for tokens in batch.records["tokens"]]


def test_records_become_their_own_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    rows = [image_record(5), text_record(3), conversation_record(2)]
    batch = tokenized(rows, tokenizer)
    image, text, talk = by_record(batch)
    assert tokenizer.decode(image[0]) == rows[0]["text"]
    assert tokenizer.decode(text[0]) == rows[1]["text"]
    assert (text[1] == TRAINED).all()
    question, answer = (message["content"] for message in rows[2]["messages"][:2])
    assert tokenizer.decode(talk[0]) == f"{question}\n{answer}<|endoftext|>Is there a dog?\nno"
    assert tokenizer.decode(talk[0][talk[1] == TRAINED]) == f"{answer}<|endoftext|>no"
    assert [len(names) for names in batch.records["image_ids"].to_pylist()] == [1, 0, 1]
    assert batch.records["kind"].to_pylist() == ["image_text", "text", "conversation"]
    assert batch.records["sample_id"].to_pylist() == [row["sample_id"] for row in rows]
    assert batch.records["turns"].to_pylist() == [[], [], []]  # kept apart in the published template only
    for (ids, flags), row in zip((image, text, talk), batch.records.to_pylist(), strict=True):
        assert (ids.dtype, flags.dtype) == (np.int32, np.uint8)
        assert row["trained_length"] == (flags & TRAINED).sum()
        assert row["first_trained"] == bool(flags[0] & TRAINED)


def test_tokens_do_not_depend_on_the_batch(tokenizer: PreTrainedTokenizerFast) -> None:
    rows = [record(number) for number in range(20) for record in (image_record, text_record, conversation_record)]
    together = by_record(tokenized(rows, tokenizer))
    for row, (ids, flags) in zip(rows, together, strict=True):
        [(alone, own)] = by_record(tokenized([row], tokenizer))
        assert (alone.tolist(), own.tolist()) == (ids.tolist(), flags.tolist())


def test_in_the_published_template_each_turn_begins_where_it_is_flagged_and_none_is_ended(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    turns = [
        ("system", "Be kind. "),
        ("user", "What?"),
        ("user", "Tell me."),
        ("assistant", "a dog"),
        ("user", "Thanks"),
    ]
    messages = [{"role": role, "content": content} for role, content in turns]
    batch = tokenized([image_record(1), conversation_record(1) | {"messages": messages}], tokenizer, "published")
    caption, (ids, flags) = by_record(batch)
    assert set(caption[1].tolist()) == {TRAINED}  # a caption is no turn where it stands before its image
    starts = [*(flags & TURN).nonzero()[0].tolist(), len(ids)]
    pieces = [tokenizer.decode(ids[start:end]) for start, end in itertools.pairwise(starts)]
    assert pieces == ["Be kind.", "What?", "Tell me.", "a dog"]  # what nobody answers is left out
    assert tokenizer.decode(ids[(flags & TRAINED) > 0]) == "a dog"
    assert batch.records["turns"].to_pylist() == [[], [False, False, False, True]]


@pytest.mark.parametrize("template", ["ours", "published"])
def test_nothing_becomes_nothing(tokenizer: PreTrainedTokenizerFast, template: Template) -> None:
    batch = tokenized([], tokenizer, template)
    assert (batch.records.num_rows, batch.faults) == (0, [])


def changed(record: dict[str, Any], **values: Any) -> dict[str, Any]:
    return record | values


BAD = {
    "unknown_kind": [changed(text_record(0), kind="video")],
    "no_image_codes": [changed(image_record(0), image_codes=None)],
    "several_images": [changed(image_record(0), image_codes=[[7, 8, 9, 10], [1, 1, 1, 1]])],
    "empty_text": [changed(text_record(0), text=" \n"), changed(image_record(0), text=" ")],
    "unknown_role": [changed(conversation_record(0), messages=[{"role": "tool", "content": "Be kind."}])],
    "empty_turn": [
        changed(conversation_record(0), messages=[{"role": "user", "content": None}]),
        changed(conversation_record(0), messages=[{"role": "assistant", "content": "  "}]),
    ],
    "no_assistant_turn": [
        changed(conversation_record(0), messages=[{"role": "user", "content": "Hello?"}]),
        changed(conversation_record(0), messages=[]),
        changed(conversation_record(0), messages=None),
    ],
}


@pytest.mark.parametrize("reason", BAD)
def test_unusable_records_are_set_aside_and_others_go_on(tokenizer: PreTrainedTokenizerFast, reason: str) -> None:
    good = image_record(7)
    batch = tokenized([good, *BAD[reason], good], tokenizer)
    first, last = by_record(batch)
    assert first[0].tolist() == last[0].tolist()
    assert [fault[:2] for fault in batch.faults] == [(row["sample_id"], reason) for row in BAD[reason]]
