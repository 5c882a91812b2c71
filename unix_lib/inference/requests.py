"""What an engine is asked for, and what it tells of each step."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from unix_lib.config.generate import ImageSampling

Ending = Literal["stop", "length"]


@dataclass(frozen=True)
class TextSampling:
    """How a text is sampled."""

    temperature: float = 0.0  # 0 takes the most probable token
    top_k: int = 0  # 0 keeps all
    top_p: float = 1.0
    most_tokens: int = 256  # sampled text tokens, a marker that opens an image among them
    least_tokens: int = 0  # that are sampled before the text may end


@dataclass(frozen=True)
class Request:
    """One sequence to be continued: an image, a text, or a text with images in it."""

    prompt: Sequence[int]  # ids, text and image codes mixed; ends with `<|vision_start|>` where an image comes first
    seed: int = 0  # the random numbers depend on it and on nothing else
    text: TextSampling | None = None  # None: an image alone
    image: ImageSampling | None = None  # None: no image may be opened
    unconditional: Sequence[int] = ()  # the prompt of guidance's other branch, ends with `<|vision_start|>`
    images: int = 1  # most images
    stop_ids: Sequence[int] = ()  # a text ends before the first of these


@dataclass(frozen=True)
class Event:
    """What a step did for one request."""

    ticket: int
    tokens: tuple[int, ...]  # new ids; image codes as ids, markers and separators among them
    finished: Ending | None
