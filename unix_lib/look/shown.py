"""What is shown of data, in a terminal as on a page: items with facts, pictures, turns, token sequences, bars."""

from dataclasses import dataclass, field

import numpy as np

from unix_lib.images.files import png_bytes


@dataclass(frozen=True)
class Picture:
    """A picture and what it is."""

    rgb: np.ndarray  # uint8 (height, width, 3)
    caption: str

    @property
    def png(self) -> bytes:
        return png_bytes(self.rgb)


@dataclass(frozen=True)
class Span:
    """Tokens of a sequence that are alike: text, or what stands for an image."""

    text: str
    tokens: int
    trained: bool
    image: bool


@dataclass(frozen=True)
class Piece:
    """A document in a pack."""

    form: str
    text_tokens: int
    image_tokens: int

    @property
    def tokens(self) -> int:
        return self.text_tokens + self.image_tokens


@dataclass(frozen=True)
class Bar:
    """A pack: its documents in order, and the tokens that it could hold."""

    pieces: list[Piece]
    length: int

    @property
    def fill(self) -> float:
        return sum(piece.tokens for piece in self.pieces) / self.length


@dataclass(frozen=True)
class Item:
    """One thing that is shown."""

    title: str
    facts: dict[str, str] = field(default_factory=dict)
    pictures: list[Picture] = field(default_factory=list)
    turns: list[tuple[str, str]] = field(default_factory=list)  # who, what
    spans: list[Span] = field(default_factory=list)
    bar: Bar | None = None


@dataclass(frozen=True)
class Shown:
    """A page: a headline, a sentence, the items."""

    title: str
    lead: str
    items: list[Item]

    @property
    def has_spans(self) -> bool:
        return any(item.spans for item in self.items)
