"""Finds places where a text may be cut for a cloze question: its beginning, and what continues it.

What continues it is a word, or two characters in scripts that put no spaces between words, such as Chinese, in the
script that the text is in.
"""

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import regex

from unix_lib.records.scripts import LATIN, UNSPACED, is_unspaced, script_of, script_of_letter
from unix_lib.sources.text.documents import GRAPHEME

SHORTEST_CONTEXT, LONGEST_CONTEXT = 80, 400  # characters
SHORTEST_UNSPACED = 30  # characters, of which a word has fewer there
SPANS_PER_DOCUMENT = 8
UNSPACED_CHARACTERS = 2  # ASSUME: most words of Chinese, and most stems of Japanese, have as many
FEW_LETTERS = 0.002  # share of letters beyond ASCII below which they are those of names and symbols

WORD = re.compile(r"[^\s]+")
ASCII_WORD = re.compile(r"[A-Za-z'\"(][\w'\"(),.;:-]*")
ANY_WORD = regex.compile(r"[\p{Ps}\p{Pi}\"'¿¡]?\p{L}[\w\p{M}\u200c\u200d\p{P}]*")


@dataclass(frozen=True)
class Span:
    """A document's beginning and what continues it on the same line."""

    document: int
    context: str
    continuation: str
    kind: str = LATIN  # of the continuation: choices of one question have the same
    is_spaced: bool = True  # whether a space stands between the two


class SpanFinder:
    """Spans of documents, and how frequent what continues them is in all of them."""

    def __init__(self, documents: list[str]) -> None:
        self._unspaced = [is_unspaced(document) for document in documents]
        self._ascii = _has_few_letters_beyond_ascii(documents)
        self.frequency = Counter(
            continuation
            for document, unspaced in zip(documents, self._unspaced, strict=True)
            for continuation in (_pairs(document) if unspaced else WORD.findall(document))
        )

    def spans_of(self, document: str, index: int, rng: random.Random) -> list[Span]:
        """Places where a document can be cut, at most `SPANS_PER_DOCUMENT`."""
        if self._unspaced[index]:
            return _unspaced_spans(document, index, rng)
        return _spaced_spans(document, index, rng, self._ascii)


def _spaced_spans(document: str, index: int, rng: random.Random, is_ascii: bool) -> list[Span]:
    words = list(WORD.finditer(document))
    order = list(range(1, len(words)))
    rng.shuffle(order)
    script = script_of(document)
    wanted = ASCII_WORD if is_ascii and script == LATIN else ANY_WORD
    spans: list[Span] = []
    for word in (words[place] for place in order):
        before, text = document[: word.start()], word.group()
        if not SHORTEST_CONTEXT <= word.start() <= LONGEST_CONTEXT or not wanted.fullmatch(text):
            continue
        # A single space before it: the word reads on as the model was trained to read.
        if before != before.rstrip() + " ":
            continue
        if wanted is ANY_WORD and any(script_of_letter(letter) not in (script, "") for letter in text):
            continue
        spans.append(Span(index, before.rstrip(), text, script))
        if len(spans) == SPANS_PER_DOCUMENT:
            break
    return spans


def _unspaced_spans(document: str, index: int, rng: random.Random) -> list[Span]:
    characters = list(GRAPHEME.finditer(document[: LONGEST_CONTEXT + 100]))
    order = list(range(1, len(characters) - UNSPACED_CHARACTERS + 1))
    rng.shuffle(order)
    spans: list[Span] = []
    for place in order:
        found = characters[place : place + UNSPACED_CHARACTERS]
        begin, kinds = found[0].start(), [script_of_letter(one.group()[0]) for one in found]
        # What goes before is a character too: no space, and not the end of a line.
        if not SHORTEST_UNSPACED <= begin <= LONGEST_CONTEXT or document[begin - 1].isspace():
            continue
        if all(kind in UNSPACED for kind in kinds):
            text = "".join(one.group() for one in found)
            spans.append(Span(index, document[:begin], text, " ".join(kinds), is_spaced=False))
        if len(spans) == SPANS_PER_DOCUMENT:
            break
    return spans


def _pairs(document: str) -> Iterator[str]:
    """All continuations of a text without spaces."""
    characters = GRAPHEME.findall(document)
    yield from map("".join, zip(*(characters[shift:] for shift in range(UNSPACED_CHARACTERS)), strict=False))


def _has_few_letters_beyond_ascii(documents: Iterable[str]) -> bool:
    """Whether texts in Latin letters are English, or nearly: what begins with another letter is a name."""
    letters = beyond = 0
    for document in documents:
        if document.isascii():
            letters += len(document)
        elif script_of(document) == LATIN:
            letters += len(document)
            beyond += sum(character > "\x7f" and character.isalpha() for character in document)
    return beyond <= FEW_LETTERS * letters
