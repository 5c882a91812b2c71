"""Puts chats into ids, as training puts conversations.

Images that are shown stand before all turns, as in training; images that the model made stand where it made them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unix_lib.config.generate import Wording
from unix_lib.models.configuration import ModelError
from unix_lib.pack.formats import Format
from unix_lib.pack.sequences import NO_CODES, NO_TEXT, FixedParts
from unix_lib.records.schema import ROLES
from unix_lib.tokenize.pieces import conversation_pieces
from unix_lib.tokenizers.text import encode_texts
from unix_lib.tokenizers.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True)
class CodedMessage:
    """One message of a chat: texts, and images as codes (codes_per_image,), in order."""

    role: str  # system | user | assistant
    parts: Sequence[str | np.ndarray]

    @property
    def text(self) -> str:
        return "\n".join(part.strip() for part in self.parts if isinstance(part, str) and part.strip())

    @property
    def images(self) -> list[np.ndarray]:
        return [part for part in self.parts if not isinstance(part, str)]


def chat_ids(
    tokenizer: "PreTrainedTokenizerFast", vocabulary: Vocabulary, messages: Sequence[CodedMessage], wording: Wording
) -> list[int]:
    """Ids after which the model answers; of images without a word, ids after which it says what they show.

    Raises:
        ModelError: no message, an unknown role, a code outside the codebook, or nothing to answer.
    """
    unknown = [message.role for message in messages if message.role not in ROLES]
    if unknown:
        raise ModelError(f"a message of role '{unknown[0]}'; give system, user or assistant")
    if not any(message.parts for message in messages if message.role == "user"):
        raise ModelError("nothing to answer; give a message of the user with a text or an image")
    for codes in (codes for message in messages for codes in message.images):
        vocabulary.image_ids(codes)
    fixed = FixedParts.worded(tokenizer, vocabulary, wording)
    shown = [codes for message in messages if message.role != "assistant" for codes in message.images]
    images = np.stack(shown) if shown else NO_CODES
    if not any(message.text for message in messages) and not any(message.role == "assistant" for message in messages):
        return fixed.prompt(Format.IMAGE_TO_TEXT, NO_TEXT, images)

    said = [message for message in messages if message.text or message.role == "assistant"]
    turns = [{"role": message.role, "content": message.text} for message in said]
    pieces = conversation_pieces([*turns, {"role": "assistant", "content": ""}], wording.template)
    newline: list[int] = fixed.parts["newlines"][0].tolist()  # none in our template
    ids = fixed.prompt(Format.IMAGE_CONVERSATION, NO_TEXT, images) if shown else []
    answers = iter([message for message in said if message.role == "assistant"])
    for text, is_answer in pieces[:-1]:
        ids += newline
        if not is_answer:
            ids += encode_texts(tokenizer, [text])[0]
            continue
        ids += [token for part in next(answers).parts for token in _answered(tokenizer, vocabulary, part)]
        if wording.template == "ours":
            ids.append(vocabulary.eos_id)
    return ids + newline


def _answered(tokenizer: "PreTrainedTokenizerFast", vocabulary: Vocabulary, part: str | np.ndarray) -> Iterator[int]:
    """Ids of a part of an answer."""
    if isinstance(part, str):
        yield from encode_texts(tokenizer, [part.strip()])[0]
    else:
        codes = vocabulary.image_tokens(np.asarray(part)).tolist()
        yield from (vocabulary.vision_start_id, *codes, vocabulary.vision_end_id)
