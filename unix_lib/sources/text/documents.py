"""Cuts texts of any script into documents: at paragraph borders, never longer than asked."""

import io
from collections.abc import Iterable, Iterator

import regex

# What ends a sentence or a clause in scripts that put no space behind it (full stops of Chinese, Japanese, Hindi, Khmer
# ...), with the quotes and brackets that close there. ASCII's marks are left to the spaces behind them. A character
# must follow, so that no cut parts the two. Searched for from the end.
SENTENCE_END = regex.compile(r"(?rV1)[\p{Sentence_Terminal}--[.!?]][\p{Pf}\p{Pe}\"']*(?=[^\p{Pf}\p{Pe}\"'])")
CLAUSE_END = regex.compile(
    r"(?rV1)[[\p{Terminal_Punctuation}--[.!?,:;]]\u0f0b\u200b\u3000][\p{Pf}\p{Pe}]*(?=[^\p{Pf}\p{Pe}])"
)
LONGEST_PARAGRAPH = 1 << 24  # characters
GRAPHEME = regex.compile(r"\X")  # what readers take for one character, such as a letter with its marks


def cut_into_documents(text: str, longest: int) -> list[str]:
    """Cut a text into documents of at most `longest` characters; see `documents_of`."""
    return list(documents_of(io.StringIO(text, newline=None), longest))


def documents_of(lines: Iterable[str], longest: int) -> Iterator[str]:
    """Documents of at most `longest` characters, of a text's lines with their ends, one in memory at a time.

    Paragraphs are gathered while they fit. A single paragraph that is longer is cut at a line's end, or else at a
    sentence's end or a space, or else where it must be, between what readers take for characters where that can be.
    Nothing but white space at the cuts is lost.
    """
    gathered = ""
    for paragraph in paragraphs_of(lines):
        joined = f"{gathered}\n\n{paragraph}" if gathered else paragraph
        if len(joined) <= longest:
            gathered = joined
            continue
        if gathered:
            yield gathered
        *whole, gathered = _cut_paragraph(paragraph, longest)
        yield from whole
    if gathered:
        yield gathered


def paragraphs_of(lines: Iterable[str]) -> Iterator[str]:
    """Paragraphs of some lines, without the blank lines between them; indentation stays.

    One of more than `LONGEST_PARAGRAPH` characters is cut at a line's end, for memory's sake.
    """
    gathered: list[str] = []
    characters = 0
    for number, line in enumerate(lines):
        is_blank = number > 0 and not line.strip(" \t\n")
        if is_blank or characters > LONGEST_PARAGRAPH:
            yield from _paragraph(gathered)
            gathered, characters = [], 0
        if not is_blank:
            gathered.append(line)
            characters += len(line)
    yield from _paragraph(gathered)


def _paragraph(lines: list[str]) -> list[str]:
    """The paragraph of some lines; none of white space."""
    text = "".join(lines)
    return [text.strip("\n").rstrip()] if text.strip() else []


def _cut_paragraph(paragraph: str, longest: int) -> list[str]:
    """Pieces of a paragraph, at least one, each of 1..longest characters; in time that grows with its length alone."""
    pieces = []
    begin = 0
    while len(paragraph) - begin > longest:
        head = paragraph[begin : begin + longest + 1]
        cut = _place_to_cut(head, longest)
        piece = head[:cut].rstrip()
        if not piece:  # nothing but white space before the border
            cut = longest
            piece = head[:cut].rstrip() or head[:cut]
        pieces.append(piece)
        begin += cut
        while begin < len(paragraph) and paragraph[begin].isspace():
            begin += 1
    return [*pieces, paragraph[begin:]] if begin < len(paragraph) else pieces


def _place_to_cut(head: str, longest: int) -> int:
    """Where a piece ends, 1..longest, of a head of one character more than the longest piece."""
    line = head.rfind("\n")
    if line > 0:
        return line
    sentence = _last_end(SENTENCE_END, head)
    if sentence >= longest // 2:
        return sentence
    place = max(sentence, head.rfind(" "), 0)
    if place < longest // 2:
        place = max(place, _last_end(CLAUSE_END, head))
    return place or _last_grapheme(head) or longest


def _last_end(pattern: regex.Pattern[str], head: str) -> int:
    found = pattern.search(head)
    return 0 if found is None else found.end()


def _last_grapheme(head: str) -> int:
    """Where the last one begins, which may not be whole."""
    begin = 0
    for found in GRAPHEME.finditer(head):
        begin = found.start()
    return begin
