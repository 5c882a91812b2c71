"""Cuts texts into documents: at paragraph borders, never longer than asked."""

import re


def cut_into_documents(text: str, longest: int) -> list[str]:
    """Cut a text into documents of at most `longest` characters.

    Paragraphs are gathered while they fit. A single paragraph that is longer is cut at a line's end, or else at a
    space, or else where it must be. Nothing but white space at the cuts is lost.
    """
    documents: list[str] = []
    gathered = ""
    for paragraph in paragraphs_of(text):
        joined = f"{gathered}\n\n{paragraph}" if gathered else paragraph
        if len(joined) <= longest:
            gathered = joined
            continue
        if gathered:
            documents.append(gathered)
        *whole, gathered = _cut_paragraph(paragraph, longest)
        documents += whole
    if gathered:
        documents.append(gathered)
    return documents


def paragraphs_of(text: str) -> list[str]:
    """Paragraphs without the blank lines between them; indentation stays."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return [part.strip("\n").rstrip() for part in re.split(r"\n(?:[ \t]*\n)+", text) if part.strip()]


def _cut_paragraph(paragraph: str, longest: int) -> list[str]:
    """Pieces of a paragraph, at least one, each of 1..longest characters; in time that grows with its length alone."""
    pieces = []
    begin = 0
    while len(paragraph) - begin > longest:
        head = paragraph[begin : begin + longest + 1]
        cut = max(head.rfind("\n"), 0) or max(head.rfind(" "), 0) or longest
        piece = head[:cut].rstrip()
        if not piece:  # nothing but white space before the border
            cut = longest
            piece = head[:cut].rstrip() or head[:cut]
        pieces.append(piece)
        begin += cut
        while begin < len(paragraph) and paragraph[begin].isspace():
            begin += 1
    return [*pieces, paragraph[begin:]] if begin < len(paragraph) else pieces
