"""Every sequence format token by token, and that prompts are what training shows."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from unix_lib.pack.sequences import (
    NO_CODES,
    FixedParts,
    Format,
    conversation_pieces,
    text_to_image_prompt_ids,
    vqa_prompt_ids,
)
from unix_lib.records.phrases import INSTRUCTIONS
from unix_lib.tokenizers.vocabulary import Vocabulary, VocabularyError

CAPTION = "a red circle"
CODES = np.array([3, 0, 15, 7], dtype=np.uint16)
IMAGES_IN = (Format.IMAGE_TO_TEXT, Format.IMAGE_CONVERSATION)


def plain(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    """Ids by transformers' own call, the way the package is meant to be used."""
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def document(
    tokenizer: PreTrainedTokenizerFast,
    vocabulary: Vocabulary,
    form: Format,
    text: str,
    *,
    instruction: int = 0,
    codes: np.ndarray = CODES[np.newaxis],
    mask_instructions: bool = True,
) -> tuple[list[int], list[bool]]:
    ids = np.array(plain(tokenizer, text), dtype=np.int32)
    fixed = FixedParts(tokenizer, vocabulary, mask_instructions)
    tokens, mask = fixed.document(form, instruction, ids, np.ones(len(ids), dtype=bool), codes)
    assert (tokens.dtype, mask.dtype) == (np.int32, np.bool_)
    return tokens.tolist(), mask.tolist()


@pytest.fixture(scope="module")
def special(tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary) -> dict[str, list[int]]:
    return {
        "start": [tokenizer.convert_tokens_to_ids("<|vision_start|>")],
        "end": [tokenizer.convert_tokens_to_ids("<|vision_end|>")],
        "eos": [tokenizer.convert_tokens_to_ids("<|endoftext|>")],
        "codes": [vocabulary.image_offset + code for code in (3, 0, 15, 7)],
    }


def test_text(tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary, special: dict[str, list[int]]) -> None:
    ids, mask = document(tokenizer, vocabulary, Format.TEXT, CAPTION, codes=NO_CODES)
    assert ids == plain(tokenizer, CAPTION) + special["eos"]
    assert mask == [False] + [True] * (len(ids) - 1)


@pytest.mark.parametrize("instruction", range(len(INSTRUCTIONS)))
def test_text_to_image(
    tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary, special: dict[str, list[int]], instruction: int
) -> None:
    ids, mask = document(tokenizer, vocabulary, Format.TEXT_TO_IMAGE, CAPTION, instruction=instruction)
    prompt = plain(tokenizer, f"{CAPTION} {INSTRUCTIONS[instruction]}") + special["start"]
    assert ids == prompt + special["codes"] + special["end"] + special["eos"]
    assert mask == [False] * len(prompt) + [True] * 6


def test_unconditional(
    tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary, special: dict[str, list[int]]
) -> None:
    ids, mask = document(tokenizer, vocabulary, Format.UNCONDITIONAL, CAPTION)
    prompt = plain(tokenizer, "<unconditional>") + special["start"]
    assert ids == prompt + special["codes"] + special["end"] + special["eos"]
    assert mask == [False] * len(prompt) + [True] * 6


def test_image_to_text(
    tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary, special: dict[str, list[int]]
) -> None:
    ids, mask = document(tokenizer, vocabulary, Format.IMAGE_TO_TEXT, CAPTION)
    prompt = special["start"] + special["codes"] + special["end"] + plain(tokenizer, "The caption of this image is:")
    answer = plain(tokenizer, CAPTION) + special["eos"]
    assert ids == prompt + answer
    assert mask == [False] * len(prompt) + [True] * len(answer)


def test_separators_follow_every_second_code(
    tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary, special: dict[str, list[int]]
) -> None:
    pad = tokenizer.convert_tokens_to_ids("<|vision_pad|>")
    separated = replace(vocabulary, separator_id=pad, separator_every=2)
    codes = special["codes"]
    image = [*codes[:2], pad, *codes[2:], pad]
    ids, mask = document(tokenizer, separated, Format.TEXT_TO_IMAGE, CAPTION)
    prompt = plain(tokenizer, f"{CAPTION} {INSTRUCTIONS[0]}") + special["start"]
    assert ids == prompt + image + special["end"] + special["eos"]
    assert mask == [False] * len(prompt) + [True] * 8
    question = vqa_prompt_ids(tokenizer, separated, CODES, "What is it?")
    assert question[:8] == special["start"] + image + special["end"]
    lengths = FixedParts(tokenizer, separated).lengths(
        np.array([Format.TEXT_TO_IMAGE]), np.array([0]), np.array([len(plain(tokenizer, CAPTION))]), np.array([1])
    )
    assert lengths.tolist() == [len(ids)]


@pytest.mark.parametrize("form", list(Format))
def test_unmasked_instructions_train_everything_but_the_first_token(
    tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary, form: Format
) -> None:
    masked, _ = document(tokenizer, vocabulary, form, CAPTION)
    ids, mask = document(tokenizer, vocabulary, form, CAPTION, mask_instructions=False)
    assert ids == masked
    assert mask == [False] + [True] * (len(ids) - 1)


@pytest.mark.parametrize("form", list(Format))
def test_planned_lengths_are_the_documents(
    tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary, form: Format
) -> None:
    texts, instructions = ("a", CAPTION, CAPTION * 9), range(len(INSTRUCTIONS))
    images = (1, 2, 5) if form in IMAGES_IN else (1,)
    cases = list(itertools.product(texts, instructions, images))
    lengths = FixedParts(tokenizer, vocabulary).lengths(
        np.full(len(cases), form, dtype=np.uint8),
        np.array([instruction for _, instruction, _ in cases]),
        np.array([len(plain(tokenizer, text)) for text, _, _ in cases]),
        np.array([count for *_, count in cases]),
    )
    for (text, instruction, count), length in zip(cases, lengths.tolist(), strict=True):
        codes = np.tile(CODES, (count, 1))
        assert len(document(tokenizer, vocabulary, form, text, instruction=instruction, codes=codes)[0]) == length


def test_images_of_a_conversation_stand_before_its_turns_each_between_its_markers(
    tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary, special: dict[str, list[int]]
) -> None:
    ids, mask = document(
        tokenizer, vocabulary, Format.IMAGE_CONVERSATION, CAPTION, codes=np.stack([CODES, CODES[::-1]])
    )
    images = [special["start"] + codes + special["end"] for codes in (special["codes"], special["codes"][::-1])]
    answer = plain(tokenizer, CAPTION) + special["eos"]
    assert ids == images[0] + images[1] + answer
    assert mask == [False] * 12 + [True] * len(answer)


def test_conversation_trains_answers_only() -> None:
    messages = [
        {"role": "user", "content": " What is it? "},
        {"role": "assistant", "content": "a dog"},
        {"role": "user", "content": "Sure?"},
        {"role": "user", "content": "Tell me."},
        {"role": "assistant", "content": "yes"},
        {"role": "assistant", "content": "very"},
        {"role": "user", "content": "Thanks."},
    ]
    assert conversation_pieces(messages) == [
        ("What is it?\n", False),
        ("a dog", True),
        ("Sure?\nTell me.\n", False),
        ("yes", True),
        ("very", True),
    ]


def test_generation_prompt_is_the_beginning_of_the_training_document(
    tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary
) -> None:
    for caption, form in ((CAPTION, Format.TEXT_TO_IMAGE), (None, Format.UNCONDITIONAL)):
        prompt = text_to_image_prompt_ids(tokenizer, vocabulary, caption)
        ids, mask = document(tokenizer, vocabulary, form, CAPTION)
        assert ids[: len(prompt)] == prompt
        assert prompt[-1] == vocabulary.vision_start_id
        assert mask.index(True) == len(prompt)  # the first target is what comes right behind the prompt


def test_generation_prompt_is_the_papers(tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary) -> None:
    prompt = tokenizer.decode(text_to_image_prompt_ids(tokenizer, vocabulary, f" {CAPTION}\n"))
    assert prompt == f"{CAPTION} Generate an image based on this description.<|vision_start|>"
    prompt = tokenizer.decode(text_to_image_prompt_ids(tokenizer, vocabulary, None))
    assert prompt == "<unconditional><|vision_start|>"


def test_question_prompt(
    tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary, special: dict[str, list[int]]
) -> None:
    prompt = vqa_prompt_ids(tokenizer, vocabulary, CODES, "Is there a dog?")
    image = special["start"] + special["codes"] + special["end"]
    assert prompt == image + plain(tokenizer, "Is there a dog?\n")
    assert all(isinstance(token, int) for token in prompt)


def test_question_prompt_refuses_codes_outside_the_codebook(
    tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary
) -> None:
    with pytest.raises(VocabularyError, match=r"image code 16 is outside 0\.\.15"):
        vqa_prompt_ids(tokenizer, vocabulary, [0, 16, 0, 0], "Is there a dog?")


def test_special_tokens_in_a_caption_are_text(tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary) -> None:
    """A caption can't open an image or end a document."""
    caption = "a sign saying <|vision_start|> and <|endoftext|>"
    prompt = text_to_image_prompt_ids(tokenizer, vocabulary, caption)
    assert prompt.count(vocabulary.vision_start_id) == 1
    assert vocabulary.eos_id not in prompt
    assert caption in tokenizer.decode(prompt)
