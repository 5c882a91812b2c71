"""Records to tokens, and every reason to set a record aside."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from transformers import PreTrainedTokenizerFast

from tests.pack.experiment import conversation_record, image_record, text_record
from unix_lib.pack.tokenized import TokenizedRecord, UnusableRecord, tokenize_batch
from unix_lib.records.schema import ENCODED_RECORD, SOURCE_RECORD
from unix_lib.tokenizers.vocabulary import Vocabulary


def batch_of(rows: list[dict[str, Any]], schema: pa.Schema = ENCODED_RECORD) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([row | {"source": "test"} for row in rows], schema=schema)


def test_records_become_their_own_tokens(tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary) -> None:
    rows = [image_record(5), text_record(3), conversation_record(2)]
    image, text, talk = tokenize_batch(batch_of(rows), tokenizer, vocabulary)
    assert isinstance(image, TokenizedRecord)
    assert isinstance(text, TokenizedRecord)
    assert isinstance(talk, TokenizedRecord)
    assert tokenizer.decode(image.text) == rows[0]["text"]
    assert image.codes.tolist() == rows[0]["image_codes"]
    assert tokenizer.decode(text.text) == rows[1]["text"]
    assert text.text_mask.all()
    assert len(text.codes) == 0
    question, answer = (message["content"] for message in rows[2]["messages"][:2])
    assert tokenizer.decode(talk.text) == f"{question}\n{answer}<|endoftext|>Is there a dog?\nno"
    assert tokenizer.decode(talk.text[talk.text_mask]) == f"{answer}<|endoftext|>no"
    assert len(talk.text_mask) == len(talk.text)


def test_rows_of_a_sliced_batch_keep_their_codes(tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary) -> None:
    rows = [image_record(1), conversation_record(2), image_record(3)]
    whole = tokenize_batch(batch_of(rows), tokenizer, vocabulary)
    part = tokenize_batch(batch_of(rows).slice(1, 2), tokenizer, vocabulary)
    for one, other in zip(whole[1:], part, strict=True):
        assert isinstance(one, TokenizedRecord)
        assert isinstance(other, TokenizedRecord)
        assert one.codes.tolist() == other.codes.tolist()
        assert one.text.tolist() == other.text.tolist()


def test_sources_without_images_have_no_codes(tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary) -> None:
    talk = {key: value for key, value in conversation_record(1).items() if key != "image_codes"}
    records = tokenize_batch(batch_of([text_record(1), talk], SOURCE_RECORD), tokenizer, vocabulary)
    assert [type(record) for record in records] == [TokenizedRecord, TokenizedRecord]
    assert all(np.size(record.codes) == 0 for record in records if isinstance(record, TokenizedRecord))


def changed(record: dict[str, Any], **values: Any) -> dict[str, Any]:
    return record | values


BAD = {
    "unknown_kind": [changed(text_record(0), kind="video")],
    "no_image_codes": [changed(image_record(0), image_codes=None)],
    "wrong_code_count": [changed(image_record(0), image_codes=[1, 2, 3]), changed(image_record(0), image_codes=[])],
    "code_out_of_range": [changed(image_record(0), image_codes=[1, 2, 3, 16])],
    "empty_text": [changed(text_record(0), text=" \n"), changed(image_record(0), text=None)],
    "unknown_role": [changed(conversation_record(0), messages=[{"role": "system", "content": "Be kind."}])],
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
    tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary, reason: str
) -> None:
    good = image_record(7)
    records = tokenize_batch(batch_of([good, *BAD[reason], good]), tokenizer, vocabulary)
    first, *bad, last = records
    assert isinstance(first, TokenizedRecord)
    assert isinstance(last, TokenizedRecord)
    assert first.text.tolist() == last.text.tolist()
    assert [record.reason for record in bad if isinstance(record, UnusableRecord)] == [reason] * len(BAD[reason])
