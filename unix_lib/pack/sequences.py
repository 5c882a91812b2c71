"""Puts documents together from a record's own tokens, by the table of formats.

The same table gives the prompt that evaluation puts in front of a model. The two can't differ, because a prompt is the
untrained beginning of the same row.

Texts on the two sides of a border are tokenized apart, so that a loss mask never cuts a token.
"""

import json
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unix_lib.artefacts.files import write_json
from unix_lib.config.generate import Wording
from unix_lib.config.pack import Language
from unix_lib.config.tokenize import Template
from unix_lib.pack.draws import draw_uniform
from unix_lib.pack.formats import FORMATS, NEWLINES, Format
from unix_lib.pack.records import Records
from unix_lib.records.phrases import IMAGE_SIZE, PHRASES, UNCONDITIONAL, phrases_of
from unix_lib.tokenize.flags import TRAINED, TURN
from unix_lib.tokenize.pieces import conversation_pieces
from unix_lib.tokenizers.text import encode_texts
from unix_lib.tokenizers.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

FIXED_PARTS_FILE = "fixed_parts.json"
NO_CODES = np.zeros((0, 0), dtype=np.uint16)
USUAL = Wording()
NO_TEXT = np.zeros(0, dtype=np.int32)


class FixedParts:
    """Tokens of the parts that are the same in every document, and how documents are put together.

    Args:
        parts: tokens of each part, int32; of several one is drawn.
        mask_instructions: train only what the table of formats says; false trains prompts too.
    """

    def __init__(self, parts: dict[str, list[np.ndarray]], vocabulary: Vocabulary, mask_instructions: bool) -> None:
        self.parts, self.vocabulary, self.mask_instructions = parts, vocabulary, mask_instructions

    @classmethod
    def of(
        cls,
        tokenizer: "PreTrainedTokenizerFast",
        vocabulary: Vocabulary,
        mask_instructions: bool = True,
        *,
        template: Template = "ours",
        languages: Sequence[Language] = ("en",),
        image_size: int | None = None,
    ) -> "FixedParts":
        """Tokenize the phrases of some languages.

        Args:
            image_size: pixels of a side, told before every image that is to be made.
        """
        phrases = {part: phrases_of(part, languages) for part in PHRASES}
        if template == "ours":
            phrases["question"] = [f"{question}\n" for question in phrases["question"]]
        phrases |= {"newlines": list(NEWLINES[template]), "unconditional": [UNCONDITIONAL]}
        if image_size is not None:
            told = IMAGE_SIZE.format(size=image_size)
            before = "" if template == "published" else " "
            phrases["instruction"] = [f"{before}{told}{phrase}" for phrase in phrases["instruction"]]
            phrases["unconditional"] = [f"{told} {UNCONDITIONAL}"]
        ids = {part: encode_texts(tokenizer, texts) for part, texts in phrases.items()}
        ids |= {
            "vision_start": [[vocabulary.vision_start_id]],
            "vision_end": [[vocabulary.vision_end_id]],
            "eos": [[vocabulary.eos_id]],
        }
        return cls(_as_arrays(ids), vocabulary, mask_instructions)

    @classmethod
    def worded(cls, tokenizer: "PreTrainedTokenizerFast", vocabulary: Vocabulary, wording: Wording) -> "FixedParts":
        """Those of prompts."""
        template, languages, size = wording.template, [wording.language], wording.image_size
        return cls.of(tokenizer, vocabulary, template=template, languages=languages, image_size=size)

    @classmethod
    def read(cls, folder: Path) -> "FixedParts":
        """Those that `write` wrote."""
        values = json.loads((folder / FIXED_PARTS_FILE).read_text(encoding="utf-8"))
        return cls(_as_arrays(values["parts"]), Vocabulary(**values["vocabulary"]), values["mask_instructions"])

    def write(self, folder: Path) -> None:
        """Write `fixed_parts.json`: all that is needed to put stored tokens together, without a tokenizer."""
        parts = {part: [ids.tolist() for ids in several] for part, several in self.parts.items()}
        values = {"vocabulary": self.vocabulary.as_dict(), "mask_instructions": self.mask_instructions, "parts": parts}
        write_json(folder / FIXED_PARTS_FILE, values)

    def document(  # noqa: PLR0917
        self, form: Format, phrase: int, newlines: int, text: np.ndarray, flags: np.ndarray, codes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Put one document together.

        Args:
            phrase: which of the format's phrases.
            newlines: what decides how many newlines stand before each turn.
            text: int32 (n,), the record's text tokens.
            flags: uint8 (n,), `TRAINED` for those that may be trained where the format trains the text, `TURN` for
                those that begin a turn.
            codes: the record's image codes (images, codes_per_image).

        Returns:
            ids: int32 (T,).
            loss_mask: bool (T,), the first token never.
        """
        text, flags = self._with_newlines(text, flags, newlines)
        parts = []
        turn = 0
        for name, _ in FORMATS[form]:
            if name == "newlines":
                parts.append(self._newlines(newlines, turn))
                turn += 1
            else:
                parts.append(self._part(name, phrase, text, codes))
        ids = np.concatenate(parts)
        loss_mask = np.ones(len(ids), dtype=bool)
        if self.mask_instructions:
            start = 0
            for (name, trained), part in zip(FORMATS[form], parts, strict=True):
                end = start + len(part)
                if not trained:
                    loss_mask[start:end] = False
                elif name == "text":
                    loss_mask[start:end] = flags & TRAINED
                start = end
        loss_mask[0] = False
        return ids, loss_mask

    def counts(
        self, forms: np.ndarray, phrases: np.ndarray, newlines: np.ndarray, own: Records
    ) -> tuple[np.ndarray, np.ndarray]:
        """Tokens of many documents, and how many of them are trained: int64 (N,) each.

        Args:
            forms, phrases, newlines: (N,), as `document` would be given them.
            own: the records of these documents, one each.
        """
        of_turns = self._newlines_of_turns(newlines, own)
        of_part = {
            "text": (own.text_lengths + of_turns[0], own.trained_lengths + of_turns[1]),
            "codes": (own.image_counts * self.vocabulary.image_length,) * 2,
            "images": (own.image_counts * (self.vocabulary.image_length + 2),) * 2,
        }
        tokens, trained_tokens = np.zeros((2, len(forms)), dtype=np.int64)
        for form, parts in FORMATS.items():
            chosen = forms == form
            turn = 0
            for name, trained in parts:
                if name in of_part:
                    lengths, of_trained = (values[chosen] for values in of_part[name])
                elif name == "newlines":
                    lengths = of_trained = self._newline_lengths(newlines[chosen], turn)
                    turn += 1
                else:
                    of_phrases = np.array([len(ids) for ids in self.parts[name]], dtype=np.int64)
                    lengths = of_trained = of_phrases[phrases[chosen] if name in PHRASES else 0]
                tokens[chosen] += lengths
                trained_tokens[chosen] += of_trained if trained else 0
            if parts[0] == ("text", True):  # the first token of a document is never trained
                trained_tokens[chosen] -= own.first_trained[chosen]
        return tokens, trained_tokens if self.mask_instructions else tokens - 1

    def prompt(self, form: Format, text: np.ndarray, codes: np.ndarray) -> list[int]:
        """Ids before the first trained part of a format, with the first phrase."""
        untrained = takewhile(lambda part: not part[1], FORMATS[form])
        ids: list[int] = np.concatenate([self._part(name, 0, text, codes) for name, _ in untrained]).tolist()
        return ids

    def _part(self, part: str, phrase: int, text: np.ndarray, codes: np.ndarray) -> np.ndarray:
        if part == "text":
            return text
        if part == "codes":
            return self.vocabulary.image_tokens(codes.reshape(-1))
        if part == "images":
            start, end = self.parts["vision_start"][0], self.parts["vision_end"][0]
            return np.concatenate([piece for one in codes for piece in (start, self.vocabulary.image_tokens(one), end)])
        return self.parts[part][phrase if part in PHRASES else 0]

    def _drawn_newlines(self, newlines: np.ndarray, turns: np.ndarray | int) -> np.ndarray:
        """Which run of newlines stands before a turn, by number of turn: int64, as many as given."""
        drawn = draw_uniform(newlines + np.asarray(turns, dtype=np.uint64), "newlines")
        return np.asarray(drawn * len(self.parts["newlines"]), dtype=np.int64)

    def _newlines(self, newlines: int, turn: int) -> np.ndarray:
        return self.parts["newlines"][int(self._drawn_newlines(np.array([newlines], dtype=np.uint64), turn)[0])]

    def _newline_lengths(self, newlines: np.ndarray, turns: np.ndarray | int) -> np.ndarray:
        of_runs = np.array([len(ids) for ids in self.parts["newlines"]], dtype=np.int64)
        lengths: np.ndarray = of_runs[self._drawn_newlines(newlines, turns)]
        return lengths

    def _newlines_of_turns(self, newlines: np.ndarray, own: Records) -> np.ndarray:
        """Tokens before all turns of each record, and before those that are trained: int64 (2, N)."""
        ends = np.cumsum(own.turn_counts)
        turns = np.arange(len(own.turns)) - np.repeat(ends - own.turn_counts, own.turn_counts)
        lengths = self._newline_lengths(np.repeat(newlines, own.turn_counts), turns)
        before = np.zeros((2, len(own.turns) + 1), dtype=np.int64)
        np.cumsum([lengths, lengths * own.turns], axis=1, out=before[:, 1:])
        of_records: np.ndarray = before[:, ends] - before[:, ends - own.turn_counts]
        return of_records

    def _with_newlines(self, text: np.ndarray, flags: np.ndarray, newlines: int) -> tuple[np.ndarray, np.ndarray]:
        """A record's text and flags with newlines before every turn, which are trained where the turn is."""
        if len(self.parts["newlines"]) == 1:
            return text, flags
        starts = np.flatnonzero(flags & TURN)
        if not len(starts):
            return text, flags
        runs = [self._newlines(newlines, turn) for turn in range(len(starts))]
        places = np.repeat(starts, [len(run) for run in runs])
        return np.insert(text, places, np.concatenate(runs)), np.insert(flags, places, flags[places])


def text_to_image_prompt_ids(
    tokenizer: "PreTrainedTokenizerFast", vocabulary: Vocabulary, caption: str | None, wording: Wording = USUAL
) -> list[int]:
    """Ids after which a model generates an image: up to and with <|vision_start|>; `None` is unconditional."""
    form = Format.UNCONDITIONAL if caption is None else Format.TEXT_TO_IMAGE
    text = np.array(encode_texts(tokenizer, [(caption or "").strip()])[0], dtype=np.int32)
    return FixedParts.worded(tokenizer, vocabulary, wording).prompt(form, text, NO_CODES)


def vqa_prompt_ids(
    tokenizer: "PreTrainedTokenizerFast",
    vocabulary: Vocabulary,
    codes: Sequence[int] | np.ndarray,
    question: str,
    wording: Wording = USUAL,
) -> list[int]:
    """Ids after which a model answers a question about an image, the question's line end included.

    In the published template, where newlines are drawn, one stands before the question and one behind it.

    Raises:
        VocabularyError: a code outside the codebook.
    """
    vocabulary.image_ids(np.asarray(codes))
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": ""}]
    (text, _), *_ = conversation_pieces(turns, wording.template)
    fixed = FixedParts.worded(tokenizer, vocabulary, wording)
    image = fixed.prompt(Format.IMAGE_CONVERSATION, NO_TEXT, np.asarray(codes)[np.newaxis])
    newline: list[int] = fixed.parts["newlines"][0].tolist()  # none in our template
    return image + newline + encode_texts(tokenizer, [text])[0] + newline


def _as_arrays(parts: dict[str, list[list[int]]]) -> dict[str, list[np.ndarray]]:
    return {part: [np.array(ids, dtype=np.int32) for ids in several] for part, several in parts.items()}
