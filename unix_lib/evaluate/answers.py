"""Reading an answer out of a model's words: yes or no, or the letter of an option.

An answer that can't be read is None, which counts as wrong. The parsers are strict where leniency would
invent answers: a letter inside a word is never an option, nor is the article "a".
"""

import re
from collections.abc import Mapping

UNREADABLE, ANSWERED = "unreadable answer", "answered "  # how a sample's reason begins

_YES_NO = re.compile(r"\b(yes|no)\b", re.IGNORECASE)
_ONLY_LETTER = re.compile(r"\W*([A-Za-z])\W*")  # "A", "a.", "(B)"
_LEADING_LETTER = re.compile(r"\s*[(\[]?([A-Za-z])\s*[.):\]]")  # "B. a circle", "(b) red"
_NAMED_LETTER = re.compile(r"\b(?:answer|option|choice)\b\s*(?:is|:)?\s*[(\[]?([A-Z])\b", re.IGNORECASE)
# "A" before a small word is the article, as in "A circle", unless the word can't follow an article.
_ARTICLE = r"A(?=\s+(?!(?:or|and|is|because)\b)[a-z])"
_LONE_CAPITAL = re.compile(rf"(?<![A-Za-z'])(?!{_ARTICLE})([A-Z])(?![A-Za-z'])")


def parse_yes_no(text: str) -> str | None:
    """ "yes" or "no": the answer's first word when it is one, else the only one of the two that occurs."""
    found = [match.group(1).lower() for match in _YES_NO.finditer(text)]
    first_word = re.match(r"\W*(\w+)", text)
    if first_word and first_word.group(1).lower() in ("yes", "no"):
        return first_word.group(1).lower()
    return found[0] if len(set(found)) == 1 else None


def parse_option(text: str, options: Mapping[str, str]) -> str | None:
    """The letter of the option that an answer names; options are capital letter -> text, as asked.

    Tried in this order: the whole answer is a letter; it begins with a letter and a mark ("B." or "(b)"); a
    phrase names it ("the answer is B"); exactly one capital letter stands alone; the words of exactly one option
    occur. A small letter counts only in the first two, and after a phrase when nothing follows it.
    """
    whole = _ONLY_LETTER.fullmatch(text)
    if whole:
        return _among(whole.group(1), options)
    leading = _LEADING_LETTER.match(text)
    if leading and _among(leading.group(1), options):
        return leading.group(1).upper()
    for named in _NAMED_LETTER.finditer(text):
        letter, rest = named.group(1), text[named.end() :].strip(" .)]!\n\"'")
        article = re.match(_ARTICLE, text[named.start(1) :]) is not None
        if not article and (letter.isupper() or not rest) and _among(letter, options):
            return letter.upper()
    capitals = {match.group(1) for match in _LONE_CAPITAL.finditer(text)} & set(options)
    if len(capitals) == 1:
        return capitals.pop()
    if capitals:
        return None
    written = [letter for letter, option in options.items() if option and _occurs(option, text)]
    return written[0] if len(written) == 1 else None


def why_wrong(reading: str | None, expected: str) -> str:
    """A sample's reason: what a wrong answer was read as; empty where it is right."""
    if reading == expected:
        return ""
    return UNREADABLE if reading is None else f"{ANSWERED}{reading}"


def read_as(prediction: str, answer: str, reason: str) -> str | None:
    """What a sample's answer was read as; None where it was unreadable."""
    if reason == UNREADABLE:
        return None
    if not reason:  # right
        return answer
    return reason.removeprefix(ANSWERED) if reason.startswith(ANSWERED) else prediction


def _among(letter: str, options: Mapping[str, str]) -> str | None:
    return letter.upper() if letter.upper() in options else None


def _occurs(words: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(words.strip())}(?!\w)", text, re.IGNORECASE) is not None
