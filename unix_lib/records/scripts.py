"""What script a text is written in, by the first word of its letters' Unicode names: LATIN, CYRILLIC, CJK, THAI ..."""

import unicodedata
from collections import Counter
from functools import lru_cache

LATIN = "LATIN"
# Scripts that put no spaces between words.
UNSPACED = frozenset({"CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN"})
SHOWN = {"CJK": "Han"}
LOOKED_AT = 2000  # characters, of a text whose script is asked for


@lru_cache(maxsize=1 << 16)
def script_of_letter(character: str) -> str:
    """The script of a letter; empty for what is none."""
    if not character.isalpha():
        return ""
    name = unicodedata.name(character, "").replace("FULLWIDTH ", "").replace("HALFWIDTH ", "")
    return name.partition(" ")[0].partition("-")[0]


def scripts_of(text: str) -> Counter[str]:
    """Letters of a text by script, as a reader knows it: Latin, Han, Hiragana, Cyrillic ..."""
    letters: Counter[str] = Counter()
    for character, count in Counter(text).items():
        if script := script_of_letter(character):
            letters[SHOWN.get(script, script.capitalize())] += count
    return letters


def script_of(text: str) -> str:
    """The script that most letters of a text are in; of Japanese and others whichever of theirs is commonest."""
    if text.isascii():
        return LATIN
    counts = Counter(map(script_of_letter, text[:LOOKED_AT]))
    counts.pop("", None)
    return counts.most_common(1)[0][0] if counts else LATIN


def is_unspaced(text: str) -> bool:
    """Whether most letters of a text are in scripts without spaces between words."""
    if text.isascii():
        return False
    counts = Counter(map(script_of_letter, text[:LOOKED_AT]))
    unspaced = sum(count for script, count in counts.items() if script in UNSPACED)
    return 2 * unspaced > counts.total() - counts[""]
