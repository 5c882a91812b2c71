"""Makes four-choice cloze questions from held-out documents: which word comes next?

The question is a document's beginning, the choices are its own next word and those of three other documents. In
scripts that put no spaces between words two characters stand for the word.

Questions come in blocks of four that share their four choices, each right for one of them and each place right once:
whoever doesn't read the question gets exactly chance. The choices of a block have the same number of characters, or
nearly, and are similarly frequent, so that a model that adds up log-probabilities is told apart by how well a word
fits the beginning and not by how likely it is anywhere. One word, since over several the likelihoods of the words
themselves drown how well the first one fits: a model of a million parameters that chooses right in 37% of such
questions chose right in 28% of those with three to eight words. The price: a block needs four such places, so a
small corpus gives fewer questions than asked for.
"""

import random
from collections import Counter
from typing import Any

from unix_lib.sources.text.kind import CLOZE_BLOCK
from unix_lib.sources.text.spans import Span, SpanFinder

CHOICES = CLOZE_BLOCK  # each is right for one question of a block
ENOUGH_SPANS, SPANS_PER_QUESTION = 1000, 20  # for blocks of one length
LENGTH_TOLERANCE = 3  # characters within a block, where a corpus has too few continuations of one length


def make_cloze(documents: list[str], questions: int, seed: int) -> list[dict[str, Any]]:
    """At most `questions` cloze questions, in whole blocks; fewer where the documents don't give enough.

    Returns:
        `{"question", "choices", "answer"}`, the answer being the right choice's place; also `"delimiter": ""` where
        no space stands between question and choice.
    """
    rng = random.Random(f"{seed}/cloze")
    finder = SpanFinder(documents)
    spans: list[Span] = []
    for index in rng.sample(range(len(documents)), len(documents)):
        if len(spans) >= ENOUGH_SPANS + SPANS_PER_QUESTION * questions:  # grouping takes the square of their number
            break
        spans += finder.spans_of(documents[index], index, rng)
    exact, left = blocks_of(spans, finder.frequency, 0)
    rng.shuffle(exact)
    loose, _ = blocks_of(left, finder.frequency, LENGTH_TOLERANCE)
    rng.shuffle(loose)
    made: list[dict[str, Any]] = []
    for block in [*exact, *loose][: questions // CHOICES]:
        for place, span in enumerate(rng.sample(block, CHOICES)):
            wrong = [other.continuation for other in block if other is not span]
            rng.shuffle(wrong)
            choices = [*wrong[:place], span.continuation, *wrong[place:]]
            question = {"question": span.context, "choices": choices, "answer": place}
            made.append(question if span.is_spaced else question | {"delimiter": ""})
    return made


def blocks_of(spans: list[Span], frequency: Counter[str], tolerance: int) -> tuple[list[list[Span]], list[Span]]:
    """Blocks of four spans, and the spans that are left over.

    A block's spans are of different documents; their continuations are of one kind and differ, their lengths by at most
    `tolerance` characters, and they are about as frequent in the documents, since spans join blocks in that order.
    """
    blocks: list[list[Span]] = []
    filling: list[list[Span]] = []
    for span in sorted(spans, key=lambda s: (s.kind, len(s.continuation), frequency[s.continuation], s.continuation)):
        for block in filling:
            length = len(span.continuation) - len(block[0].continuation)
            near = span.kind == block[0].kind and length <= tolerance
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
