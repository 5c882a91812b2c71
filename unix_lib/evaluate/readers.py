"""Reading answers as other tools read them, also where that is too lenient or too strict: only so do scores compare.

Each reader takes an answer and the options, letter -> text, none for a question of yes or no. None is an answer that it
can't read; `NONE_OF_THEM` one that a tool takes for a refusal, of which no judge is asked.
"""

import re
import string
from collections.abc import Mapping

NONE_OF_THEM = "Z"

FULL_WIDTH = "，。？！“”‘’｜、·～"
MARKS = str.maketrans(dict.fromkeys(string.punctuation + FULL_WIDTH, " "))
CHOICE_MARKS = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))
VQA_MARKS = ';/[]"{}()=+\\_-><@`,?!'
FULL_STOPS = 32  # as many as VLMEvalKit leaves out: a flag stands there in the place of a count
REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
LAST_WORDS = 4  # among which VLMEvalKit takes a letter for the answer
NAMED = re.compile(r"(?:correct\s+)?answer\s+is\s+\**([ABCD])", re.IGNORECASE)
MMBENCH_LETTERS = "ABCDE"  # of lmms-eval, whatever the question offers
AROUND_LETTERS = (
    *(("", "."), ("", ","), ("", ":"), ("", ")"), ("", ")."), ("(", ")"), ("(", ").")),
    *((":", ""), (":", ","), (":", "."), (":", ")"), (":", ").")),
)


def paper_yes_no(text: str, options: Mapping[str, str]) -> str | None:
    """The first word, where it is one of the two."""
    words = text.lower().translate(MARKS).split()
    return words[0] if words and words[0] in ("yes", "no") else None


def paper_option(text: str, options: Mapping[str, str]) -> str | None:
    """The first of the letters a to d, large or small, in whatever word: an apple is A."""
    found = re.search("[A-D]", text, re.IGNORECASE)
    return None if found is None else found.group().upper()


def vlmevalkit_yes_no(text: str, options: Mapping[str, str]) -> str | None:
    """The one of the two that is among the words, once marks are left out as for VQA."""
    said = {"yes", "no"}.intersection(_without_marks(text.lower()).split())
    return said.pop() if len(said) == 1 else None


def vlmevalkit_option(text: str, options: Mapping[str, str]) -> str | None:
    """The only letter among the words, near the end; else what "answer is" names; else the only option quoted."""
    if any(refusal in text for refusal in REFUSALS):
        return NONE_OF_THEM
    words = text.translate(CHOICE_MARKS).split()
    letters = [letter for letter in options if letter in words]
    if len(letters) == 1 and words.index(letters[0]) >= len(words) - LAST_WORDS:
        return letters[0]
    if not letters and NONE_OF_THEM in words:
        return NONE_OF_THEM
    named = NAMED.search(text)
    if named and named.group(1).upper() in options:
        return named.group(1).upper()
    return _written(text, options) if len(text) <= 2 * sum(map(len, options.values())) else None


def lmms_eval_mme(text: str, options: Mapping[str, str]) -> str | None:
    """The whole answer, one letter of it too; else what its first four characters have in them, "yes" before "no"."""
    said = text.lower().strip().replace(".", "")
    if len(said) == 1:
        return {"y": "yes", "n": "no"}.get(said)
    return next((word for word in ("yes", "no") if word in said[:4]), None)


def lmms_eval_pope(text: str, options: Mapping[str, str]) -> str | None:
    """The whole answer: with a full stop behind it, it is none."""
    said = text.lower().strip()
    return said if said in ("yes", "no") else None


def lmms_eval_mmbench(text: str, options: Mapping[str, str]) -> str | None:
    """The only letter among the words, unless "A" may be an article; else with a mark; else the only option's text."""
    words = text.split()
    for before, after in (("", ""), *AROUND_LETTERS):
        letters = [letter for letter in MMBENCH_LETTERS if f"{before}{letter}{after}" in words]
        article = not before + after and "A" in words and len(words) > 3
        if len(letters) == 1 and not article:
            return letters[0]
    return _written(text, options)


def lmms_eval_seed(text: str, options: Mapping[str, str]) -> str | None:
    """The first character, where it is an option's letter."""
    first = text.strip()[:1]
    return first if first in options else None


def _written(text: str, options: Mapping[str, str]) -> str | None:
    """The option whose text stands in an answer, within other words too, where it is the only one."""
    found = [letter for letter, option in options.items() if option.lower() in text.lower()]
    return found[0] if len(found) == 1 else None


def _without_marks(text: str) -> str:
    """A mark becomes a space; where it stands beside one, or a number like 1,000 is in the text, it is left out."""
    with_number = re.search(r"\d,\d", text) is not None
    plain = text
    for mark in VQA_MARKS:
        left_out = with_number or f"{mark} " in text or f" {mark}" in text
        plain = plain.replace(mark, "" if left_out else " ")
    return re.sub(r"\.(?!\d)", "", plain, count=FULL_STOPS)
