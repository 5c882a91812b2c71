"""The formats of a document, as one table: its parts in order, and which of them are trained.

The templates differ between turns only: ours ends a question with a newline and an answer with <|endoftext|>; the
published one puts newlines before every turn, how many is drawn, and one <|endoftext|> behind the last.
"""

from collections.abc import Sequence
from enum import IntEnum

import numpy as np

from unix_lib.config.pack import Language
from unix_lib.config.tokenize import Template
from unix_lib.records.phrases import PHRASES, phrases_of


class Format(IntEnum):
    """What a document is."""

    TEXT = 0
    TEXT_TO_IMAGE = 1
    UNCONDITIONAL = 2
    IMAGE_TO_TEXT = 3
    CONVERSATION = 4
    IMAGE_CONVERSATION = 5
    IMAGE_QUESTION = 6  # an image, what asks for its caption, the caption


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
