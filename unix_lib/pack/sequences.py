"""Puts documents together from a record's own tokens: the sequence formats of `unix_lib/README.md` as one table.

The same table gives the prompt that evaluation puts in front of a model. The two can't differ, because a prompt is the
untrained beginning of the same row.

Texts on the two sides of a border are tokenized apart, so that a loss mask never cuts a token.
"""

from collections.abc import Sequence
from enum import IntEnum
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np

from unix_lib.records.phrases import CAPTION_PHRASE, INSTRUCTIONS, UNCONDITIONAL
from unix_lib.tokenizers.text import encode_texts
from unix_lib.tokenizers.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


class Format(IntEnum):
    """What a document is."""

    TEXT = 0
    TEXT_TO_IMAGE = 1
    UNCONDITIONAL = 2
    IMAGE_TO_TEXT = 3
    CONVERSATION = 4
    IMAGE_CONVERSATION = 5


NO_CODES = np.zeros((0, 0), dtype=np.uint16)
NO_TEXT = np.zeros(0, dtype=np.int32)

# Parts of each format in order, and whether they are trained. `text` (of a conversation its turns, with a mask of their
# own), `codes` and `images` (each between its markers) come from the record, `instruction` is drawn, others are fixed.
# PAPER: an image stands before the turns about it.
# ASSUME: several images all stand there, in order; where among the turns a record shows them is not kept.
_IMAGE_OUT = (("vision_start", False), ("codes", True), ("vision_end", True), ("eos", True))
_IMAGES_IN = ("images", False)
_TEXT_OUT = (("text", True), ("eos", True))
FORMATS: dict[Format, tuple[tuple[str, bool], ...]] = {
    Format.TEXT: _TEXT_OUT,
    Format.TEXT_TO_IMAGE: (("text", False), ("instruction", False), *_IMAGE_OUT),
    Format.UNCONDITIONAL: (("unconditional", False), *_IMAGE_OUT),
    Format.IMAGE_TO_TEXT: (_IMAGES_IN, ("caption_phrase", False), *_TEXT_OUT),
    Format.CONVERSATION: _TEXT_OUT,
    Format.IMAGE_CONVERSATION: (_IMAGES_IN, *_TEXT_OUT),
}


class FixedParts:
    """Tokens of the parts that are the same in every document, and how documents are put together.

    Args:
        mask_instructions: train only what the table of formats says; false trains prompts too.
    """

    def __init__(
        self, tokenizer: "PreTrainedTokenizerFast", vocabulary: Vocabulary, mask_instructions: bool = True
    ) -> None:
        phrases = encode_texts(tokenizer, [UNCONDITIONAL, CAPTION_PHRASE, *(f" {line}" for line in INSTRUCTIONS)])
        arrays = [np.array(ids, dtype=np.int32) for ids in phrases]
        self.mask_instructions = mask_instructions
        self.vocabulary = vocabulary
        self.instructions = arrays[2:]
        self.parts = {
            "unconditional": arrays[0],
            "caption_phrase": arrays[1],
            "vision_start": np.array([vocabulary.vision_start_id], dtype=np.int32),
            "vision_end": np.array([vocabulary.vision_end_id], dtype=np.int32),
            "eos": np.array([vocabulary.eos_id], dtype=np.int32),
        }

    def _part(self, part: str, instruction: int, text: np.ndarray, codes: np.ndarray) -> np.ndarray:
        if part == "text":
            return text
        if part == "codes":
            return self.vocabulary.image_tokens(codes.reshape(-1))
        if part == "images":
            start, end = self.parts["vision_start"], self.parts["vision_end"]
            return np.concatenate([piece for one in codes for piece in (start, self.vocabulary.image_tokens(one), end)])
        return self.instructions[instruction] if part == "instruction" else self.parts[part]

    def document(
        self, form: Format, instruction: int, text: np.ndarray, text_mask: np.ndarray, codes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Put one document together.

        Args:
            instruction: which of the instructions (text-to-image).
            text: int32 (n,), the record's text tokens.
            text_mask: bool (n,), those of them that may be trained where the format trains the text.
            codes: the record's image codes (images, codes_per_image).

        Returns:
            ids: int32 (T,).
            loss_mask: bool (T,), the first token never.
        """
        parts = [self._part(name, instruction, text, codes) for name, _ in FORMATS[form]]
        ids = np.concatenate(parts)
        loss_mask = np.ones(len(ids), dtype=bool)
        if self.mask_instructions:
            start = 0
            for (name, trained), part in zip(FORMATS[form], parts, strict=True):
                end = start + len(part)
                if not trained:
                    loss_mask[start:end] = False
                elif name == "text":
                    loss_mask[start:end] = text_mask
                start = end
        loss_mask[0] = False
        return ids, loss_mask

    def lengths(
        self, forms: np.ndarray, instructions: np.ndarray, text_lengths: np.ndarray, image_counts: np.ndarray
    ) -> np.ndarray:
        """Tokens of many documents, int64 (N,), from what `document` would be given, integer arrays (N,)."""
        lengths = np.zeros(len(forms), dtype=np.int64)
        instruction_lengths = np.array([len(ids) for ids in self.instructions], dtype=np.int64)
        for form, parts in FORMATS.items():
            chosen = forms == form
            for name, _ in parts:
                if name == "text":
                    lengths[chosen] += text_lengths[chosen]
                elif name == "codes":
                    lengths[chosen] += image_counts[chosen] * self.vocabulary.image_length
                elif name == "images":
                    lengths[chosen] += image_counts[chosen] * (self.vocabulary.image_length + 2)
                elif name == "instruction":
                    lengths[chosen] += instruction_lengths[instructions[chosen]]
                else:
                    lengths[chosen] += len(self.parts[name])
        return lengths

    def prompt(self, form: Format, text: np.ndarray, codes: np.ndarray) -> list[int]:
        """Ids before the first trained part of a format, with the first instruction."""
        untrained = takewhile(lambda part: not part[1], FORMATS[form])
        ids: list[int] = np.concatenate([self._part(name, 0, text, codes) for name, _ in untrained]).tolist()
        return ids


def text_to_image_prompt_ids(
    tokenizer: "PreTrainedTokenizerFast", vocabulary: Vocabulary, caption: str | None
) -> list[int]:
    """Ids after which a model generates an image: up to and with <|vision_start|>; `None` is unconditional."""
    form = Format.UNCONDITIONAL if caption is None else Format.TEXT_TO_IMAGE
    text = np.array(encode_texts(tokenizer, [(caption or "").strip()])[0], dtype=np.int32)
    return FixedParts(tokenizer, vocabulary).prompt(form, text, NO_CODES)


def vqa_prompt_ids(
    tokenizer: "PreTrainedTokenizerFast", vocabulary: Vocabulary, codes: Sequence[int] | np.ndarray, question: str
) -> list[int]:
    """Ids after which a model answers a question about an image, the question's line end included.

    Raises:
        VocabularyError: a code outside the codebook.
    """
    vocabulary.image_ids(np.asarray(codes))
    [(text, _)] = conversation_pieces([{"role": "user", "content": question}, {"role": "assistant", "content": ""}])[:1]
    image = FixedParts(tokenizer, vocabulary).prompt(Format.IMAGE_CONVERSATION, NO_TEXT, np.asarray(codes)[np.newaxis])
    return image + encode_texts(tokenizer, [text])[0]


def conversation_pieces(messages: Sequence[dict[str, str]]) -> list[tuple[str, bool]]:
    """A conversation cut where training begins or ends: (text, trained) in order.

    A newline ends a question; <|endoftext|>, which tokenizing puts behind every answer, ends an answer. User turns
    behind the last answer are left out: nothing in them is trained.
    """
    pieces: list[tuple[str, bool]] = []
    prompt = ""
    for message in messages:
        content = message["content"].strip()
        if message["role"] == "assistant":
            if prompt:
                pieces.append((prompt, False))
            pieces.append((content, True))
            prompt = ""
        else:
            prompt += f"{content}\n"
    return pieces
