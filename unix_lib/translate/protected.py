"""What no translation may touch: special tokens, tags, placeholders, addresses, words that a user names.

A model is shown a text without what surrounds it (white space, `<image>`), and with a mark, `[[1]]`, for each such
span inside it: so it neither changes them nor takes `<|im_end|>` for the end of its own prompt. The answer must have
every mark once; then the spans take their places again. Numbers are not protected: languages write some as words.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from unix_lib.translate.errors import Unfaithful

TOKENS = (
    r"<\|[^<>|\n]*\|>",  # <|vision_start|>
    r"<｜[^<>｜\n]*｜>",  # DeepSeek's, with bars of full width
    r"<<?/?[A-Za-z_][\w.:-]*(?: \d+|(?:\s+[\w:-]+=[^<>]*)?\s*/?)>>?",  # <image>, <image 1>, <unconditional>, tags
    r"\[/?INST\]",
)
OTHERS = (
    r"\^{3}\w+\^{3}",  # ^^^pair_split^^^
    r"\[\[\d+\]\]",  # what looks like a mark
    r"\{\{[^{}\n]*\}\}|\{[^{}\n]*\}",  # {name}, {}, {{name}}
    r"%\(\w+\)[sdf]|%[sd]\b",
    r"https?://[^\s<>\"']+",
)
WORD = re.compile(r"[^\W\d_]{2}|[^\W\d_a-zA-Z]")  # not the letter of an option
LOST, INVENTED = "placeholder lost", "placeholder invented"


@dataclass(frozen=True)
class Protected:
    """A text cut into what a model is shown and what it is not."""

    before: str
    shown: str  # with marks; empty where there is nothing to translate
    after: str
    spans: tuple[str, ...]  # behind the marks, in order
    keep: tuple[str, ...]

    def restored(self, answer: str) -> str:
        """The whole text with a model's answer in the place of what it was shown.

        Raises:
            Unfaithful: a mark is missing or stands twice, or a token or placeholder is new.
        """
        named = Counter(re.findall(r"\[\[\d+\]\]", answer))
        marks = {_mark(index): span for index, span in enumerate(self.spans)}
        for mark, span in marks.items():
            if named[mark] != 1:
                times = f"{named[mark]} times, the text once"
                raise Unfaithful(LOST, f"it has '{span}' {times}", f"it has {mark} {times}")
        inner = re.sub(r"\[\[\d+\]\]", lambda mark: marks.get(mark[0], mark[0]), answer.strip())
        for span, count in Counter(_pattern(self.keep).findall(inner)).items():
            if count > self.spans.count(span):
                told = "it has a tag or a mark that the text has not"
                raise Unfaithful(INVENTED, f"it has '{span}', which the text has not so often", told)
        return self.before + inner + self.after


def protect(text: str, keep: Sequence[str] = ()) -> Protected:
    """Cut a text; `keep` are words that stay as they are."""
    pieces = _pattern(tuple(keep)).split(text)  # texts, and spans between them
    first, last = 0, len(pieces) - 1
    while first < last and not pieces[first].strip() and _is_token(pieces[first + 1]):
        first += 2
    while last > first and not pieces[last].strip() and _is_token(pieces[last - 1]):
        last -= 2
    inner = pieces[first : last + 1]
    spans = tuple(inner[1::2])
    marked = "".join(piece if index % 2 == 0 else _mark(index // 2) for index, piece in enumerate(inner))
    shown = marked.strip()
    begins = marked.index(shown) if shown else len(marked)
    before, after = marked[:begins], marked[begins + len(shown) :]
    if not any(WORD.search(piece) for piece in inner[::2]):
        return Protected(text, "", "", (), tuple(keep))
    return Protected("".join(pieces[:first]) + before, shown, after + "".join(pieces[last + 1 :]), spans, tuple(keep))


def _mark(index: int) -> str:
    return f"[[{index + 1}]]"


@cache
def _pattern(keep: tuple[str, ...]) -> re.Pattern[str]:
    """A group that matches what is protected, the longest of the words to keep first."""
    words = [_whole(word) for word in sorted(keep, key=len, reverse=True)]
    return re.compile("(" + "|".join((*words, *TOKENS, *OTHERS)) + ")")


def _whole(word: str) -> str:
    """The pattern of a word that is no part of a longer one, in scripts that have spaces."""
    begins, ends = (r"(?<!\w)" if word[0].isascii() else "", r"(?!\w)" if word[-1].isascii() else "")
    return begins + re.escape(word) + ends


def _is_token(span: str) -> bool:
    return any(re.fullmatch(token, span) for token in TOKENS)
