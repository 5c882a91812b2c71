"""Which scripts a text is written in, by its letters."""

import unicodedata
from collections import Counter
from functools import cache

# Scripts that the first word of a letter's name in Unicode doesn't say.
SCRIPTS = {"CJK": "Chinese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean"}


def scripts_of(text: str) -> Counter[str]:
    """Letters by script, such as Latin, Chinese, Cyrillic, Devanagari."""
    letters: Counter[str] = Counter()
    for sign, count in Counter(text).items():
        if script := _script(sign):
            letters[script] += count
    return letters


@cache
def _script(sign: str) -> str:
    if not sign.isalpha():
        return ""
    first = unicodedata.name(sign, "other").replace("FULLWIDTH ", "").split(" ")[0]
    return SCRIPTS.get(first, first.capitalize())
