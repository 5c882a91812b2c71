"""Records to tokens, and every reason to set a record aside."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from transformers import PreTrainedTokenizerFast

from tests.pack.experiment import as_record, conversation_record, image_id_of, image_record, text_record, write_source
from unix_lib.config.pack import Template
from unix_lib.pack.formats import TRAINED, TURN
from unix_lib.pack.spool import Spool
from unix_lib.pack.store import TokenStore
from unix_lib.pack.tokenized import TokenizedRecord, UnusableRecord, tokenize_batch
from unix_lib.records.schema import RECORD
from unix_lib.tokenizers.vocabulary import Vocabulary


@pytest.fixture
def spool(tmp_path: Path, vocabulary: Vocabulary) -> Iterator[Spool]:
    with Spool(tmp_path / "spool", "train", vocabulary) as spool:
        yield spool


def tokenized(
    rows: list[dict[str, Any]], spool: Spool, tokenizer: PreTrainedTokenizerFast, template: Template = "ours"
) -> list[TokenizedRecord | UnusableRecord]:
    """The rows as a source of their own, whose images are encoded."""
    source = write_source(spool.folder, "test", rows)
    images = spool.add_codes([] if source.codes is None else [spool.folder / source.codes])
    batch = pa.RecordBatch.from_pylist([as_record(row, "test") for row in rows], schema=RECORD)
    return tokenize_batch(batch, images, tokenizer, spool.vocabulary.eos_id, template)


def test_records_become_their_own_tokens(spool: Spool, tokenizer: PreTrainedTokenizerFast) -> None:
    rows = [image_record(5), text_record(3), conversation_record(2)]
    image, text, talk = tokenized(rows, spool, tokenizer)
    assert isinstance(image, TokenizedRecord)
    assert isinstance(text, TokenizedRecord)
    assert isinstance(talk, TokenizedRecord)
    assert tokenizer.decode(image.text) == rows[0]["text"]
    assert tokenizer.decode(text.text) == rows[1]["text"]
    assert text.flags.all()
    assert text.images == []
    question, answer = (message["content"] for message in rows[2]["messages"][:2])
    assert tokenizer.decode(talk.text) == f"{question}\n{answer}<|endoftext|>Is there a dog?\nno"
    assert tokenizer.decode(talk.text[talk.flags == TRAINED]) == f"{answer}<|endoftext|>no"
    assert len(talk.flags) == len(talk.text)
    for record in (image, text, talk):
        spool.append(record, 0, "test")
    sealed = spool.seal()
    store = TokenStore(spool.folder, "train", codes_per_image=4)
    codes = [store.tokens(record)[2].tolist() for record in range(3)]
    assert codes == [[rows[0]["image_codes"]], [], [rows[2]["image_codes"]]]
    assert sealed.image_counts.tolist() == [1, 0, 1]
    for number, record in enumerate((image, text, talk)):
        ids, flags, _ = store.tokens(number)
        assert (ids.tolist(), flags.tolist()) == (record.text.tolist(), record.flags.tolist())
        assert (ids.dtype, flags.dtype) == (np.int32, np.uint8)
        assert sealed.text_lengths[number] == len(ids)
        assert sealed.trained_lengths[number] == (flags & TRAINED).sum()
        assert sealed.first_trained[number] == bool(flags[0])


def test_a_conversation_shows_its_images_in_their_order(spool: Spool, tokenizer: PreTrainedTokenizerFast) -> None:
    shown = [[3, 3, 3, 3], [1, 2, 3, 4], [3, 3, 3, 3]]  # one of them twice
    rows = [conversation_record(0) | {"image_codes": codes} for codes in (shown, shown[::-1], [shown[1], shown[0]])]
    for record in tokenized([image_record(1), *rows], spool, tokenizer):
        assert isinstance(record, TokenizedRecord)
        spool.append(record, 0, "test")
    sealed = spool.seal()
    store = TokenStore(spool.folder, "train", codes_per_image=4)
    assert [store.tokens(record)[2].tolist() for record in range(1, 4)] == [row["image_codes"] for row in rows]
    assert sealed.image_counts.tolist() == [1, 3, 3, 2]


def test_in_the_published_template_each_turn_begins_where_it_is_flagged_and_none_is_ended(
    spool: Spool, tokenizer: PreTrainedTokenizerFast
) -> None:
    turns = [
        ("system", "Be kind. "),
        ("user", "What?"),
        ("user", "Tell me."),
        ("assistant", "a dog"),
        ("user", "Thanks"),
    ]
    messages = [{"role": role, "content": content} for role, content in turns]
    caption, talk = tokenized(
        [image_record(1), conversation_record(1) | {"messages": messages}], spool, tokenizer, "published"
    )
    assert isinstance(caption, TokenizedRecord)
    assert isinstance(talk, TokenizedRecord)
    assert set(caption.flags.tolist()) == {TRAINED}  # a caption is no turn where it stands before its image
    starts = [*(talk.flags & TURN).nonzero()[0].tolist(), len(talk.text)]
    pieces = [tokenizer.decode(talk.text[start:end]) for start, end in itertools.pairwise(starts)]
    assert pieces == ["Be kind.", "What?", "Tell me.", "a dog"]  # what nobody answers is left out
    assert tokenizer.decode(talk.text[(talk.flags & TRAINED) > 0]) == "a dog"


def test_sources_without_images_have_no_codes(spool: Spool, tokenizer: PreTrainedTokenizerFast) -> None:
    talk = {key: value for key, value in conversation_record(1).items() if key != "image_codes"}
    records = tokenized([text_record(1), talk], spool, tokenizer)
    assert [record.images for record in records if isinstance(record, TokenizedRecord)] == [[], []]


def changed(record: dict[str, Any], **values: Any) -> dict[str, Any]:
    return record | values


BAD = {
    "unknown_kind": [changed(text_record(0), kind="video")],
    "no_image_codes": [
        changed(image_record(0), image_codes=None),
        changed(image_record(0), image_codes=None, image_ids=["f" * 32]),
        changed(conversation_record(0), image_codes=None, image_ids=["f" * 32]),
        changed(conversation_record(0), image_codes=None, image_ids=[image_id_of([7, 8, 9, 10]), "f" * 32]),
        changed(conversation_record(0), image_codes=None, image_ids=[image_id_of([7, 8, 9, 10]), None]),
    ],
    "several_images": [changed(image_record(0), image_codes=[[7, 8, 9, 10], [1, 1, 1, 1]])],
    "wrong_code_count": [changed(image_record(0), image_codes=[1, 2, 3]), changed(image_record(0), image_codes=[])],
    "code_out_of_range": [changed(image_record(0), image_codes=[1, 2, 3, 16])],
    "empty_text": [changed(text_record(0), text=" \n"), changed(image_record(0), text=None)],
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
def test_unusable_records_are_set_aside_and_others_go_on(
    spool: Spool, tokenizer: PreTrainedTokenizerFast, reason: str
) -> None:
    good = image_record(7)
    records = tokenized([good, *BAD[reason], good], spool, tokenizer)
    first, *bad, last = records
    assert isinstance(first, TokenizedRecord)
    assert isinstance(last, TokenizedRecord)
    assert first.text.tolist() == last.text.tolist()
    assert first.images == last.images
    assert [record.reason for record in bad if isinstance(record, UnusableRecord)] == [reason] * len(BAD[reason])
