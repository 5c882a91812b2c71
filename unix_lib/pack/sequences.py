"""Puts documents together from a record's own tokens: the sequence formats of `unix_lib/README.md` as one table.

The same table gives the prompt that evaluation puts in front of a model. The two can't differ, because a prompt is the
untrained beginning of the same row.

Texts on the two sides of a border are tokenized apart, so that a loss mask never cuts a token. The templates differ
between turns only: ours ends a question with a newline and an answer with <|endoftext|>; the published one puts
newlines before every turn, how many is drawn, and one <|endoftext|> behind the last.
"""

from collections.abc import Sequence
from enum import IntEnum
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np

from unix_lib.config.pack import Language, Template
from unix_lib.pack.draws import draw_uniform
from unix_lib.records.phrases import IMAGE_SIZE, PHRASES, UNCONDITIONAL, phrases_of
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
    IMAGE_QUESTION = 6  # an image, what asks for its caption, the caption


NO_CODES = np.zeros((0, 0), dtype=np.uint16)
NO_TEXT = np.zeros(0, dtype=np.int32)
TRAINED, TURN = 1, 2  # flags of a record's own tokens: may be trained; begins a turn
# PAPER: the authors' code draws one, two or three newlines before every turn, the first too, and trains an answer's.
# ASSUME: there a conversation has no end at all; here it has one behind the last answer, or a model would never stop.
NEWLINES: dict[Template, tuple[str, ...]] = {"ours": ("",), "published": ("\n", "\n\n", "\n\n\n")}

# Parts of each format in order, and whether they are trained. `text` (of a conversation its turns, with flags of their
# own), `codes` and `images` (each between its markers) come from the record; phrases and newlines are drawn; others are
# fixed.
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
    Format.IMAGE_QUESTION: (_IMAGES_IN, ("newlines", False), ("question", False), ("newlines", True), *_TEXT_OUT),
}


def phrase_counts(languages: Sequence[Language]) -> np.ndarray:
    """How many phrases each format draws from, int64 (formats,); 1 for those that have none."""
    counts = {part: len(phrases_of(part, languages)) for part in PHRASES}
    return np.array([max([counts.get(part, 1) for part, _ in FORMATS[form]]) for form in Format], dtype=np.int64)


class FixedParts:
    """Tokens of the parts that are the same in every document, and how documents are put together.

    Args:
        mask_instructions: train only what the table of formats says; false trains prompts too.
        languages: of the phrases that are drawn.
        image_size: pixels of a side, told before every image that is to be made.
    """

    def __init__(
        self,
        tokenizer: "PreTrainedTokenizerFast",
        vocabulary: Vocabulary,
        mask_instructions: bool = True,
        *,
        template: Template = "ours",
        languages: Sequence[Language] = ("en",),
        image_size: int | None = None,
    ) -> None:
        self.mask_instructions = mask_instructions
        self.vocabulary = vocabulary
        phrases = {part: phrases_of(part, languages) for part in PHRASES}
        if template == "ours":
            phrases["question"] = [f"{question}\n" for question in phrases["question"]]
        phrases |= {"newlines": list(NEWLINES[template]), "unconditional": [UNCONDITIONAL]}
        if image_size is not None:
            told = IMAGE_SIZE.format(size=image_size)
            before = "" if template == "published" else " "
            phrases["instruction"] = [f"{before}{told}{phrase}" for phrase in phrases["instruction"]]
            phrases["unconditional"] = [f"{told} {UNCONDITIONAL}"]
        # Tokens of each part, one of which is drawn where there are several.
        self.parts = {
            part: [np.array(ids, dtype=np.int32) for ids in encode_texts(tokenizer, texts)]
            for part, texts in phrases.items()
        }
        for part, token in (
            ("vision_start", vocabulary.vision_start_id),
            ("vision_end", vocabulary.vision_end_id),
            ("eos", vocabulary.eos_id),
        ):
            self.parts[part] = [np.array([token], dtype=np.int32)]

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

    def lengths(  # noqa: PLR0917
        self,
        forms: np.ndarray,
        phrases: np.ndarray,
        newlines: np.ndarray,
        text_lengths: np.ndarray,
        turn_counts: np.ndarray,
        image_counts: np.ndarray,
    ) -> np.ndarray:
        """Tokens of many documents, int64 (N,), from what `document` would be given, arrays (N,)."""
        lengths = np.zeros(len(forms), dtype=np.int64)
        for form, parts in FORMATS.items():
            chosen = forms == form
            turn = 0
            for name, _ in parts:
                if name == "text":
                    lengths[chosen] += text_lengths[chosen]
                    lengths[chosen] += self._newlines_of_turns(newlines[chosen], turn_counts[chosen])
                elif name == "codes":
                    lengths[chosen] += image_counts[chosen] * self.vocabulary.image_length
                elif name == "images":
                    lengths[chosen] += image_counts[chosen] * (self.vocabulary.image_length + 2)
                elif name == "newlines":
                    lengths[chosen] += self._newline_lengths(newlines[chosen], turn)
                    turn += 1
                else:
                    of_phrases = np.array([len(ids) for ids in self.parts[name]], dtype=np.int64)
                    lengths[chosen] += of_phrases[phrases[chosen] if name in PHRASES else 0]
        return lengths

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

    def _newlines_of_turns(self, newlines: np.ndarray, turn_counts: np.ndarray) -> np.ndarray:
        """Tokens before all turns of each record, int64 (N,)."""
        ends = np.cumsum(turn_counts)
        turns = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - turn_counts, turn_counts)
        before = np.append(0, np.cumsum(self._newline_lengths(np.repeat(newlines, turn_counts), turns)))
        lengths: np.ndarray = before[ends] - before[ends - turn_counts]
        return lengths

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


def conversation_pieces(messages: Sequence[dict[str, str]], template: Template = "ours") -> list[tuple[str, bool]]:
    """A conversation cut where training begins or ends: (text, trained) in order.

    In our template a newline ends what the user or the system says, and <|endoftext|>, which tokenizing puts behind
    every answer, ends an answer. In the published one each turn is a piece. Turns behind the last answer are left out:
    nothing in them is trained.
    """
    pieces: list[tuple[str, bool]] = []
    prompts: list[tuple[str, bool]] = []
    for message in messages:
        content = message["content"].strip()
        if message["role"] != "assistant":
            prompts.append((content, False))
            continue
        if template == "ours" and prompts:
            prompts = [("".join(f"{prompt}\n" for prompt, _ in prompts), False)]
        pieces += [*prompts, (content, True)]
        prompts = []
    return pieces
