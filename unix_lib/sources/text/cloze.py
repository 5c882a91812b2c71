"""Four-choice cloze questions from held-out documents: which words come next?

What flows in: held-out documents. What flows out: `{"question", "choices", "answer"}`, the question being a
document's beginning, the choices its own next words and those of three other documents.

The trade-off: wrong choices are right ones elsewhere, of the same number of characters, and each answer's place comes
up equally often; so neither length nor place nor how likely the words are by themselves gives the answer away, only
how they fit the beginning.
"""

import random
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

CHOICES = 4
SHORTEST_CONTEXT, LONGEST_CONTEXT = 80, 400  # characters
FEWEST_WORDS, MOST_WORDS = 3, 8
SPANS_PER_DOCUMENT = 4
LENGTH_TOLERANCE = 2  # characters between a choice and the answer where a corpus has no equal length

WORD = re.compile(r"[^\s]+")
PROSE = re.compile(r"[A-Za-z'\"(][\w'\"(),.;:-]*")


@dataclass(frozen=True)
class Span:
    """A document's beginning and the words that continue it on the same line."""

    document: int
    context: str
    continuation: str


def spans_of(document: str, index: int, rng: random.Random) -> list[Span]:
    """Places where a document can be cut, at most `SPANS_PER_DOCUMENT`, none overlapping another's continuation."""
    words = list(WORD.finditer(document))
    order = list(range(1, len(words)))
    rng.shuffle(order)
    spans: list[Span] = []
    used: set[int] = set()
    for start in order:
        count = rng.randint(FEWEST_WORDS, MOST_WORDS)
        chosen = range(start, start + count)
        if chosen[-1] >= len(words) or used.intersection(chosen):
            continue
        cut, end = words[start].start(), words[chosen[-1]].end()
        before, text = document[:cut], document[cut:end]
        if not SHORTEST_CONTEXT <= cut <= LONGEST_CONTEXT or not before.endswith(" "):
            continue
        # One line, single spaces: the continuation reads on as the model was trained to read.
        if text != " ".join(text.split()) or before != before.rstrip() + " ":
            continue
        if not all(PROSE.fullmatch(word) for word in text.split(" ")):
            continue
        spans.append(Span(index, before.rstrip(), text))
        used.update(chosen)
        if len(spans) == SPANS_PER_DOCUMENT:
            break
    return spans


def make_cloze(documents: list[str], questions: int, seed: int) -> list[dict[str, Any]]:
    """At most `questions` cloze questions; fewer where the documents don't give enough equal lengths.

    Args:
        documents: held-out documents.
        questions: how many to make.
        seed: seed of the cuts, the wrong choices and the places of the answers.
    """
    rng = random.Random(f"{seed}/cloze")
    by_document = [spans_of(document, index, rng) for index, document in enumerate(documents)]
    by_length: dict[int, list[Span]] = defaultdict(list)
    for span in (span for spans in by_document for span in spans):
        by_length[len(span.continuation)].append(span)
    # First one span of every document, then second ones: as many documents as possible have a say.
    rounds = [[spans[i] for spans in by_document if i < len(spans)] for i in range(SPANS_PER_DOCUMENT)]
    for spans in rounds:
        rng.shuffle(spans)
    made: list[dict[str, Any]] = []
    for span in (span for spans in rounds for span in spans):
        if len(made) == questions:
            break
        wrong = _wrong_choices(span, by_length, rng)
        if wrong is not None:
            answer = len(made) % CHOICES
            choices = [*wrong[:answer], span.continuation, *wrong[answer:]]
            made.append({"question": span.context, "choices": choices, "answer": answer})
    rng.shuffle(made)
    return made


def _wrong_choices(span: Span, by_length: dict[int, list[Span]], rng: random.Random) -> list[str] | None:
    """Three continuations of other documents, as long as the right one if possible; None where there are not."""
    length = len(span.continuation)
    found: list[str] = []
    for difference in range(LENGTH_TOLERANCE + 1):
        near = [s for n in sorted({length - difference, length + difference}) for s in by_length.get(n, [])]
        texts = sorted({s.continuation for s in near if s.document != span.document} - {span.continuation, *found})
        found += rng.sample(texts, min(CHOICES - 1 - len(found), len(texts)))
        if len(found) == CHOICES - 1:
            rng.shuffle(found)
            return found
    return None
