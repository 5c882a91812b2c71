"""Every sequence format token by token, and that prompts are what training shows."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from unix_lib.config.pack import Template
from unix_lib.pack.sequences import (
    NO_CODES,
    TRAINED,
    TURN,
    FixedParts,
    Format,
    conversation_pieces,
    phrase_counts,
    text_to_image_prompt_ids,
    vqa_prompt_ids,
)
from unix_lib.records.phrases import INSTRUCTIONS, phrases_of
from unix_lib.tokenizers.vocabulary import Vocabulary, VocabularyError

CAPTION = "a red circle"
CODES = np.array([3, 0, 15, 7], dtype=np.uint16)
IMAGES_IN = (Format.IMAGE_TO_TEXT, Format.IMAGE_CONVERSATION, Format.IMAGE_QUESTION)


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
    phrase: int = 0,
    codes: np.ndarray = CODES[np.newaxis],
    mask_instructions: bool = True,
) -> tuple[list[int], list[bool]]:
    ids = np.array(plain(tokenizer, text), dtype=np.int32)
    fixed = FixedParts(tokenizer, vocabulary, mask_instructions)
    tokens, mask = fixed.document(form, phrase, 0, ids, np.full(len(ids), TRAINED, dtype=np.uint8), codes)
    assert (tokens.dtype, mask.dtype) == (np.int32, np.bool_)
    return tokens.tolist(), mask.tolist()


def planned(
    fixed: FixedParts,
    forms: list[Format],
    texts: list[int],
    newlines: list[int] | None = None,
    turns: list[int] | None = None,
    *,
    phrases: list[int] | None = None,
    images: list[int] | None = None,
) -> list[int]:
    """Lengths of documents of so many own tokens; unless given the first phrase, no turns, one image."""
    none, one = [0] * len(forms), [1] * len(forms)
    columns = (forms, phrases or none, newlines or none, texts, turns or none, images or one)
    kinds = (np.uint8, np.int64, np.uint64, np.int64, np.int64, np.int64)
    lengths = fixed.lengths(*(np.array(column, dtype=kind) for column, kind in zip(columns, kinds, strict=True)))
    return [int(length) for length in lengths]


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
    ids, mask = document(tokenizer, vocabulary, Format.TEXT_TO_IMAGE, CAPTION, phrase=instruction)
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
    assert planned(FixedParts(tokenizer, separated), [Format.TEXT_TO_IMAGE], [len(plain(tokenizer, CAPTION))]) == [
        len(ids)
    ]


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
    images = (1, 2, 5) if form in IMAGES_IN else (1,)
    cases = list(itertools.product(("a", CAPTION, CAPTION * 9), range(phrase_counts(["en"])[form]), images))
    texts, phrases, counts = (list(column) for column in zip(*cases, strict=True))
    lengths = planned(
        FixedParts(tokenizer, vocabulary),
        [form] * len(cases),
        [len(plain(tokenizer, text)) for text in texts],
        phrases=phrases,
        images=counts,
    )
    for (text, phrase, count), length in zip(cases, lengths, strict=True):
        codes = np.tile(CODES, (count, 1))
        assert len(document(tokenizer, vocabulary, form, text, phrase=phrase, codes=codes)[0]) == length


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


def test_a_caption_is_the_answer_to_a_question(
    tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary, special: dict[str, list[int]]
) -> None:
    for phrase, question in enumerate(phrases_of("question", ["en"])):
        ids, mask = document(tokenizer, vocabulary, Format.IMAGE_QUESTION, CAPTION, phrase=phrase)
        prompt = special["start"] + special["codes"] + special["end"] + plain(tokenizer, f"{question}\n")
        answer = plain(tokenizer, CAPTION) + special["eos"]
        assert ids == prompt + answer
        assert mask == [False] * len(prompt) + [True] * len(answer)


TURNS = [("Be kind.", False), ("What is it?", False), ("a dog", True), ("Sure?", False), ("yes, very sure", True)]


def test_the_published_template_puts_newlines_before_every_turn_and_one_end_behind_the_last(
    tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary, special: dict[str, list[int]]
) -> None:
    """Documents of many draws, each held against every text that the draws could give."""
    fixed = FixedParts(tokenizer, vocabulary, template="published")
    pieces = [(plain(tokenizer, text), trained) for text, trained in TURNS]
    text = np.array([token for ids, _ in pieces for token in ids], dtype=np.int32)
    of_tokens = [TRAINED * trained | TURN * (place == 0) for ids, trained in pieces for place in range(len(ids))]
    flags = np.array(of_tokens, dtype=np.uint8)
    image = special["start"] + special["codes"] + special["end"]
    expected = {}
    for drawn in itertools.product((1, 2, 3), repeat=len(TURNS)):
        ids, mask = image.copy(), [False] * len(image)
        for newlines, (turn, trained) in zip(drawn, pieces, strict=True):
            spoken = plain(tokenizer, "\n" * newlines) + turn
            ids, mask = ids + spoken, mask + [trained] * len(spoken)
        expected[tuple(ids + special["eos"])] = (drawn, [*mask, True])
    draws = np.random.default_rng(0).integers(0, 2**63, 200)
    seen = []
    for draw in draws.tolist():
        ids, mask = fixed.document(Format.IMAGE_CONVERSATION, 0, draw, text, flags, CODES[np.newaxis])
        drawn, trained = expected[tuple(ids.tolist())]
        assert mask.tolist() == trained
        assert planned(fixed, [Format.IMAGE_CONVERSATION], [len(text)], [draw], [len(TURNS)]) == [len(ids)]
        seen.append(drawn)
    for turn in range(len(TURNS)):
        assert (np.abs(np.bincount([drawn[turn] for drawn in seen])[1:] / len(seen) - 1 / 3) < 0.15).all()
    assert len(set(seen)) > 100  # the turns of a document draw apart


def test_a_published_question_has_newlines_on_both_sides(
    tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary, special: dict[str, list[int]]
) -> None:
    fixed = FixedParts(tokenizer, vocabulary, template="published", languages=["zh"])
    questions = phrases_of("question", ["zh"])
    caption = np.array(plain(tokenizer, CAPTION), dtype=np.int32)
    image = special["start"] + special["codes"] + special["end"]
    seen = set()
    for draw in range(100):
        ids, mask = fixed.document(
            Format.IMAGE_QUESTION, 1, draw, caption, np.full(len(caption), TRAINED, np.uint8), CODES[np.newaxis]
        )
        assert planned(fixed, [Format.IMAGE_QUESTION], [len(caption)], [draw], phrases=[1]) == [len(ids)]
        prompt = tokenizer.decode(ids[len(image) :][~mask[len(image) :]])
        answer = tokenizer.decode(ids[mask])
        assert (prompt.strip("\n"), answer.strip("\n")) == (questions[1], f"{CAPTION}<|endoftext|>")
        seen.add((prompt.count("\n"), answer.count("\n")))
    assert seen == set(itertools.product((1, 2, 3), repeat=2))


def test_lengths_of_documents_of_all_formats_together(
    tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary
) -> None:
    """A batch of random documents of the published template against each put together by itself."""
    rng = np.random.default_rng(1)
    fixed = FixedParts(tokenizer, vocabulary, template="published", languages=["de", "zh"])
    counts = phrase_counts(["de", "zh"])
    forms = [Format(form) for form in rng.integers(0, len(Format), 300)]
    texts, newlines = rng.integers(8, 40, 300), rng.integers(0, 2**63, 300)
    talks = np.isin(forms, [Format.CONVERSATION, Format.IMAGE_CONVERSATION])
    turns = np.where(talks, rng.integers(1, 8, 300), 0)
    phrases = (rng.random(300) * counts[forms]).astype(int)
    images = np.where(np.isin(forms, IMAGES_IN), rng.integers(1, 4, 300), 1)
    lengths = planned(
        fixed,
        forms,
        texts.tolist(),
        newlines.tolist(),
        turns.tolist(),
        phrases=phrases.tolist(),
        images=images.tolist(),
    )
    for row, form in enumerate(forms):
        flags = np.full(texts[row], TRAINED, dtype=np.uint8)
        flags[: turns[row]] |= TURN
        ids, mask = fixed.document(
            form,
            phrases[row],
            newlines[row],
            np.arange(texts[row], dtype=np.int32),
            flags,
            np.tile(CODES, (images[row], 1)),
        )
        assert len(ids) == len(mask) == lengths[row]


@pytest.mark.parametrize("template", ["ours", "published"])
def test_conversation_trains_answers_only(template: Template) -> None:
    messages = [
        {"role": "system", "content": "Be kind.\n"},
        {"role": "user", "content": " What is it? "},
        {"role": "assistant", "content": "a dog"},
        {"role": "user", "content": "Sure?"},
        {"role": "user", "content": "Tell me."},
        {"role": "assistant", "content": "yes"},
        {"role": "assistant", "content": "very"},
        {"role": "user", "content": "Thanks."},
    ]
    if template == "published":
        spoken = ["Be kind.", "What is it?", "a dog", "Sure?", "Tell me.", "yes", "very"]
        answers = [text in ("a dog", "yes", "very") for text in spoken]
        assert conversation_pieces(messages, template) == list(zip(spoken, answers, strict=True))
        return
    assert conversation_pieces(messages) == [
        ("Be kind.\nWhat is it?\n", False),
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
