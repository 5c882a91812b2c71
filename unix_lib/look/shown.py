"""What is shown of data, in a terminal as on a page: tables, histograms, items with facts, pictures, turns, tokens."""

from dataclasses import dataclass, field, replace

import numpy as np


@dataclass(frozen=True)
class Picture:
    """A picture and what it is."""

    rgb: np.ndarray  # uint8 (height, width, 3)
    caption: str


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
class Table:
    """Rows of texts below headings; those of `numbers` stand to the right."""

    title: str
    headings: tuple[str, ...]
    numbers: frozenset[str]
    rows: list[list[str]]
    note: str = ""


@dataclass(frozen=True)
class Histogram:
    """(from, up to, how many) of whole numbers."""

    title: str
    bins: list[tuple[int, int, int]]

    @property
    def most(self) -> int:
        return max(count for _, _, count in self.bins)


@dataclass(frozen=True)
class Shown:
    """A headline, a sentence, and what is shown."""

    title: str
    lead: str
    items: list[Item] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    histograms: list[Histogram] = field(default_factory=list)

    @property
    def has_spans(self) -> bool:
        return any(item.spans for item in self.items)

    def shortened(self, characters: int) -> "Shown":
        """With no text longer than so many characters, and no sequence much longer."""
        return replace(self, items=[_shortened(item, characters) for item in self.items])


def _shortened(item: Item, characters: int) -> Item:
    turns = [(who, cut_text(what, characters)) for who, what in item.turns]
    spans, left = list[Span](), characters
    for span in item.spans:
        if left > 0:
            spans.append(replace(span, text=cut_text(span.text, left)))
            left -= len(span.text)
    return replace(item, turns=turns, spans=spans)


def in_words(name: str) -> str:
    """A kind of record or document as a reader says it."""
    return name.lower().replace("_", " ")


def cut_text(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[:characters]}…"
