"""Makes four-choice cloze questions from held-out documents: which word comes next?

The question is a document's beginning, the choices are its own next word and those of three other documents.

Questions come in blocks of four that share their four choices, each right for one of them and each place right once:
whoever doesn't read the question gets exactly chance. The choices of a block have the same number of characters, or
nearly, and are similarly frequent, so that a model that adds up log-probabilities is told apart by how well a word
fits the beginning and not by how likely it is anywhere. One word, since over several the likelihoods of the words
themselves drown how well the first one fits: a model of a million parameters that chooses right in 37% of such
questions chose right in 28% of those with three to eight words. The price: a block needs four such places, so a
small corpus gives fewer questions than asked for.
"""

import random
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from unix_lib.sources.text.kind import CLOZE_BLOCK

CHOICES = CLOZE_BLOCK  # each is right for one question of a block
SHORTEST_CONTEXT, LONGEST_CONTEXT = 80, 400  # characters
SPANS_PER_DOCUMENT = 8
ENOUGH_SPANS, SPANS_PER_QUESTION = 1000, 20  # for blocks of one length
LENGTH_TOLERANCE = 3  # characters within a block, where a corpus has too few continuations of one length

WORD = re.compile(r"[^\s]+")
PROSE = re.compile(r"[A-Za-z'\"(][\w'\"(),.;:-]*")


@dataclass(frozen=True)
class Span:
    """A document's beginning and the word that continues it on the same line."""

    document: int
    context: str
    continuation: str


def spans_of(document: str, index: int, rng: random.Random) -> list[Span]:
    """Places where a document can be cut, at most `SPANS_PER_DOCUMENT`."""
    words = list(WORD.finditer(document))
    order = list(range(1, len(words)))
    rng.shuffle(order)
    spans: list[Span] = []
    for word in (words[place] for place in order):
        before, text = document[: word.start()], word.group()
        if not SHORTEST_CONTEXT <= word.start() <= LONGEST_CONTEXT or not PROSE.fullmatch(text):
            continue
        # A single space before it: the word reads on as the model was trained to read.
        if before != before.rstrip() + " ":
            continue
        spans.append(Span(index, before.rstrip(), text))
        if len(spans) == SPANS_PER_DOCUMENT:
            break
    return spans


def make_cloze(documents: list[str], questions: int, seed: int) -> list[dict[str, Any]]:
    """At most `questions` cloze questions, in whole blocks; fewer where the documents don't give enough.

    Returns:
        `{"question", "choices", "answer"}`, the answer being the right choice's place.
    """
    rng = random.Random(f"{seed}/cloze")
    spans: list[Span] = []
    for index in rng.sample(range(len(documents)), len(documents)):
        if len(spans) >= ENOUGH_SPANS + SPANS_PER_QUESTION * questions:  # grouping takes the square of their number
            break
        spans += spans_of(documents[index], index, rng)
    frequency = Counter(word for document in documents for word in WORD.findall(document))
    exact, left = blocks_of(spans, frequency, 0)
    rng.shuffle(exact)
    loose, _ = blocks_of(left, frequency, LENGTH_TOLERANCE)
    rng.shuffle(loose)
    made: list[dict[str, Any]] = []
    for block in [*exact, *loose][: questions // CHOICES]:
        for place, span in enumerate(rng.sample(block, CHOICES)):
            wrong = [other.continuation for other in block if other is not span]
            rng.shuffle(wrong)
            choices = [*wrong[:place], span.continuation, *wrong[place:]]
            made.append({"question": span.context, "choices": choices, "answer": place})
    return made


def blocks_of(spans: list[Span], frequency: Counter[str], tolerance: int) -> tuple[list[list[Span]], list[Span]]:
    """Blocks of four spans, and the spans that are left over.

    A block's spans are of different documents; their continuations differ, their lengths by at most `tolerance`
    characters, and they are about as frequent in the documents, since spans join blocks in that order.
    """
    blocks: list[list[Span]] = []
    filling: list[list[Span]] = []
    for span in sorted(spans, key=lambda s: (len(s.continuation), frequency[s.continuation], s.continuation)):
        for block in filling:
            near = len(span.continuation) - len(block[0].continuation) <= tolerance
            if near and all(s.document != span.document and s.continuation != span.continuation for s in block):
                block.append(span)
                break
        else:
            block = [span]
            filling.append(block)
        if len(block) == CHOICES:
            filling.remove(block)
            blocks.append(block)
    return blocks, [span for block in filling for span in block]
