"""Every sequence format token by token, and that prompts are what training shows."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from unix_lib.config.generate import Wording
from unix_lib.config.tokenize import Template
from unix_lib.pack.formats import Format, phrase_counts
from unix_lib.pack.records import Records
from unix_lib.pack.sequences import NO_CODES, FixedParts, text_to_image_prompt_ids, vqa_prompt_ids
from unix_lib.records.phrases import INSTRUCTIONS, phrases_of
from unix_lib.tokenize.flags import TRAINED, TURN
from unix_lib.tokenize.pieces import conversation_pieces
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
    fixed = FixedParts.of(tokenizer, vocabulary, mask_instructions)
    tokens, mask = fixed.document(form, phrase, 0, ids, np.full(len(ids), TRAINED, dtype=np.uint8), codes)
    assert (tokens.dtype, mask.dtype) == (np.int32, np.bool_)
    return tokens.tolist(), mask.tolist()


def counted(
    fixed: FixedParts,
    forms: list[Format],
    flags: list[np.ndarray],
    *,
    phrases: list[int] | None = None,
    newlines: list[int] | None = None,
    images: list[int] | None = None,
) -> list[tuple[int, int]]:
    """Tokens and trained tokens of documents with such flags; unless given the first phrase and one image."""
    none = [0] * len(forms)
    turns = [own[own & TURN > 0] & TRAINED for own in flags]
    own = Records(
        forms=np.array(forms, dtype=np.uint8),
        parts=np.array(none),
        samples=np.array(none, dtype=np.uint64),
        text_lengths=np.array([len(each) for each in flags]),
        trained_lengths=np.array([(each & TRAINED).sum() for each in flags], dtype=np.int64),
        first_trained=np.array([bool(each[0] & TRAINED) for each in flags]),
        image_counts=np.array(images or [1] * len(forms)),
        turn_counts=np.array([len(each) for each in turns]),
        turns=np.concatenate(turns).astype(bool),
    )
    drawn = np.array(newlines or none, dtype=np.uint64)
    columns = fixed.counts(own.forms, np.array(phrases or none), drawn, own)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def trained_text(tokenizer: PreTrainedTokenizerFast, text: str) -> np.ndarray:
    return np.full(len(plain(tokenizer, text)), TRAINED, dtype=np.uint8)


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
    flags = trained_text(tokenizer, CAPTION)
    assert counted(FixedParts.of(tokenizer, separated), [Format.TEXT_TO_IMAGE], [flags]) == [(len(ids), sum(mask))]


@pytest.mark.parametrize("form", list(Format))
def test_unmasked_instructions_train_everything_but_the_first_token(
    tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary, form: Format
) -> None:
    masked, _ = document(tokenizer, vocabulary, form, CAPTION)
    ids, mask = document(tokenizer, vocabulary, form, CAPTION, mask_instructions=False)
    assert ids == masked
    assert mask == [False] + [True] * (len(ids) - 1)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("form", list(Format))
def test_documents_have_the_tokens_that_were_counted(
    tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary, form: Format, masked: bool
) -> None:
    images = (1, 2, 5) if form in IMAGES_IN else (1,)
    cases = list(itertools.product(("a", CAPTION, CAPTION * 9), range(phrase_counts(["en"])[form]), images))
    texts, phrases, counts = (list(column) for column in zip(*cases, strict=True))
    said = counted(
        FixedParts.of(tokenizer, vocabulary, masked),
        [form] * len(cases),
        [trained_text(tokenizer, text) for text in texts],
        phrases=phrases,
        images=counts,
    )
    made = [
        document(
            tokenizer, vocabulary, form, text, phrase=phrase, codes=np.tile(CODES, (count, 1)), mask_instructions=masked
        )
        for text, phrase, count in cases
    ]
    assert said == [(len(ids), sum(mask)) for ids, mask in made]


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
    fixed = FixedParts.of(tokenizer, vocabulary, template="published")
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
        assert counted(fixed, [Format.IMAGE_CONVERSATION], [flags], newlines=[draw]) == [(len(ids), mask.sum())]
        seen.append(drawn)
    for turn in range(len(TURNS)):
        assert (np.abs(np.bincount([drawn[turn] for drawn in seen])[1:] / len(seen) - 1 / 3) < 0.15).all()
    assert len(set(seen)) > 100  # the turns of a document draw apart


def test_a_published_question_has_newlines_on_both_sides(
    tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary, special: dict[str, list[int]]
) -> None:
    fixed = FixedParts.of(tokenizer, vocabulary, template="published", languages=["zh"])
    questions = phrases_of("question", ["zh"])
    caption = np.array(plain(tokenizer, CAPTION), dtype=np.int32)
    image = special["start"] + special["codes"] + special["end"]
    seen = set()
    for draw in range(100):
        ids, mask = fixed.document(
            Format.IMAGE_QUESTION, 1, draw, caption, trained_text(tokenizer, CAPTION), CODES[np.newaxis]
        )
        said = counted(fixed, [Format.IMAGE_QUESTION], [trained_text(tokenizer, CAPTION)], newlines=[draw], phrases=[1])
        assert said == [(len(ids), mask.sum())]
        prompt = tokenizer.decode(ids[len(image) :][~mask[len(image) :]])
        answer = tokenizer.decode(ids[mask])
        assert (prompt.strip("\n"), answer.strip("\n")) == (questions[1], f"{CAPTION}<|endoftext|>")
        seen.add((prompt.count("\n"), answer.count("\n")))
    assert seen == set(itertools.product((1, 2, 3), repeat=2))


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("template", ["ours", "published"])
def test_counts_of_documents_of_all_formats_together(
    tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary, template: Template, masked: bool
) -> None:
    """A batch of random documents against each put together by itself."""
    rng = np.random.default_rng(1)
    fixed = FixedParts.of(tokenizer, vocabulary, masked, template=template, languages=["de", "zh"], image_size=32)
    forms = [Format(form) for form in rng.integers(0, len(Format), 300)]
    newlines = rng.integers(0, 2**63, 300).tolist()
    phrases = (rng.random(300) * phrase_counts(["de", "zh"])[forms]).astype(int).tolist()
    images = np.where(np.isin(forms, IMAGES_IN), rng.integers(1, 4, 300), 1).tolist()
    flags = []
    for form in forms:
        lengths = rng.integers(1, 9, rng.integers(1, 8))
        talk = form in (Format.CONVERSATION, Format.IMAGE_CONVERSATION)
        own = np.repeat(rng.integers(0, 2, len(lengths)) if talk else np.ones(len(lengths), int), lengths) * TRAINED
        if talk and template == "published":
            own[np.cumsum(lengths) - lengths] |= TURN
        flags.append(own.astype(np.uint8))
    said = counted(fixed, forms, flags, phrases=phrases, newlines=newlines, images=images)
    for row, (form, own) in enumerate(zip(forms, flags, strict=True)):
        codes = np.tile(CODES, (images[row], 1))
        ids, mask = fixed.document(form, phrases[row], newlines[row], np.arange(len(own), dtype=np.int32), own, codes)
        assert said[row] == (len(ids), mask.sum())


def test_fixed_parts_come_back_from_disk(
    tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary, tmp_path: Path
) -> None:
    fixed = FixedParts.of(tokenizer, vocabulary, False, template="published", languages=["zh"])
    fixed.write(tmp_path)
    again = FixedParts.read(tmp_path)
    assert (again.vocabulary, again.mask_instructions) == (vocabulary, False)
    for name, parts in fixed.parts.items():
        assert [ids.tolist() for ids in again.parts[name]] == [ids.tolist() for ids in parts]
        assert all(ids.dtype == np.int32 for ids in again.parts[name])


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


def test_prompts_are_put_as_the_mixture_puts_its_documents(
    tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary
) -> None:
    for template in ("ours", "published"):
        wording = Wording(template=template, language="zh", image_size=8)
        fixed = FixedParts.of(tokenizer, vocabulary, template=template, languages=["zh", "en"], image_size=8)
        text = np.array(plain(tokenizer, CAPTION), np.int32)
        for caption, form in ((CAPTION, Format.TEXT_TO_IMAGE), (None, Format.UNCONDITIONAL)):
            prompt = text_to_image_prompt_ids(tokenizer, vocabulary, caption, wording)
            ids, mask = fixed.document(form, 0, 0, text, np.zeros(len(text), np.uint8), np.array([CODES], np.uint16))
            assert ids[: len(prompt)].tolist() == prompt and mask.argmax() == len(prompt)
            assert "Width is 8" in tokenizer.decode(prompt)
    assert "请把这段描述画成图" in tokenizer.decode(text_to_image_prompt_ids(tokenizer, vocabulary, CAPTION, wording))
    told = tokenizer.decode(vqa_prompt_ids(tokenizer, vocabulary, CODES, "Is there a dog?", wording))
    assert told.endswith("<|vision_end|>\nIs there a dog?\n")


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
