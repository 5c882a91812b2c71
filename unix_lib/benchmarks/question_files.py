"""Reads questions about images from TSV files in the layout of VLMEvalKit (POPE, MME, MMBench, SEED-Bench).

A file has the columns `index, question, answer, image` and, by layout, `A, B, C, D, hint, category`. An image
is base64 text, or the index of the row that holds it. Rows that can't be used are set aside with reasons. The base64
text is kept until an image is needed, so that a file of 14,000 images does not become 14,000 bitmaps.
"""

import base64
import binascii
import csv
import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from unix_lib.artefacts.errors import UserError
from unix_lib.benchmarks.settings import Layout
from unix_lib.records.questions import LETTERS

LAYOUTS: dict[Layout, tuple[str, ...]] = {
    "pope": ("index", "question", "answer", "image"),
    "mme": ("index", "question", "answer", "image", "category"),
    "mmbench": ("index", "question", "answer", "image", "A", "B"),
    "seed": ("index", "question", "answer", "image", "A", "B", "category"),
}
YES_NO_LAYOUTS = ("pope", "mme")
# VLMEvalKit's own rule: an image field this short is the index of another row, not an image.
LONGEST_REFERENCE = 64
MALFORMED = "\t"  # key of a row that has too few or too many columns; no column can be called that


class QuestionFileError(UserError):
    """A question file that can't be used at all; single bad rows are set aside instead."""


@dataclass(frozen=True)
class Question:
    """One question; `image` is base64 text, `image_id` the same for all questions about one image."""

    index: str
    text: str
    answer: str  # yes | no, or the letter of an option
    image: str
    image_id: str
    category: str = ""
    hint: str = ""
    options: dict[str, str] = field(default_factory=dict)

    @property
    def image_bytes(self) -> bytes:
        """The stored image, still to be decoded.

        Raises:
            ValueError: not base64.
        """
        return base64.b64decode("".join(self.image.split()), validate=True)


class _UnusableRow(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class RejectedRow:
    """A row or image that was set aside."""

    sample_id: str
    origin: str
    reason: str
    detail: str


def read_questions(path: Path, layout: Layout, limit: int | None = None) -> tuple[list[Question], list[RejectedRow]]:
    """Read a benchmark's questions.

    Raises:
        QuestionFileError: missing, not UTF-8, without a needed column, or without a single usable row.
    """
    try:
        rows = list(_rows(path, layout))
    except FileNotFoundError:
        raise QuestionFileError(f"{path}: no such benchmark file; `unix-lib fetch` gets it") from None
    except UnicodeDecodeError as error:
        raise QuestionFileError(f"{path}: not UTF-8 ({error}); fetch or make it again") from None
    except csv.Error as error:
        raise QuestionFileError(f"{path}: not a TSV file ({error}); fetch or make it again") from None

    images = {
        row["index"].strip(): row["image"].strip()
        for _, row in rows
        if MALFORMED not in row and len(row["image"].strip()) > LONGEST_REFERENCE
    }
    questions: list[Question] = []
    rejected: list[RejectedRow] = []
    seen: set[str] = set()
    for number, row in rows:
        if limit is not None and len(questions) >= limit:
            break
        try:
            question = _question(row, layout, images, seen)
        except _UnusableRow as unusable:
            where = f"{path.name}:{number}"
            rejected.append(RejectedRow(row.get("index") or f"row-{number}", where, unusable.reason, unusable.detail))
            continue
        seen.add(question.index)
        questions.append(question)
    if not questions:
        counted = f"; the first was set aside as {rejected[0].reason} ({rejected[0].detail})" if rejected else ""
        raise QuestionFileError(f"{path}: no usable question{counted}")
    return questions, rejected


def _rows(path: Path, layout: Layout) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows as dictionaries with their line numbers; a row of another width has only what it has."""
    csv.field_size_limit(sys.maxsize)
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.reader(file, delimiter="\t")
        header = next(reader, [])
        missing = [column for column in LAYOUTS[layout] if column not in header]
        if missing:
            raise QuestionFileError(
                f"{path}: no column '{missing[0]}', which layout {layout} needs; it has: {', '.join(header)}"
            )
        for values in reader:
            if not values:
                continue
            row = dict(zip(header, values, strict=False))
            if len(values) != len(header):
                row[MALFORMED] = f"{len(values)} of {len(header)} columns"
            yield reader.line_num, row


def _question(row: dict[str, str], layout: Layout, images: dict[str, str], seen: set[str]) -> Question:
    """The row's question.

    Raises:
        _UnusableRow: says why the row is set aside.
    """
    if MALFORMED in row:
        raise _UnusableRow("malformed row", row[MALFORMED])
    index, text = row["index"].strip(), row["question"].strip()
    if not index or index in seen:
        raise _UnusableRow("bad index", f"index {index!r} is {'repeated' if index else 'empty'}")
    if not text:
        raise _UnusableRow("empty question", "")
    image = row["image"].strip()
    if len(image) <= LONGEST_REFERENCE:
        if image not in images:
            raise _UnusableRow("unknown image reference", f"image {image!r} is the index of no row with an image")
        image = images[image]
    try:
        base64.b64decode("".join(image.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _UnusableRow("bad base64", str(error)) from None

    options: dict[str, str] = {}
    answer = row["answer"].strip()
    if layout in YES_NO_LAYOUTS:
        answer = answer.lower()
        if answer not in ("yes", "no"):
            raise _UnusableRow("unknown answer", f"answer {answer!r} is neither yes nor no")
    else:
        options = {letter: row[letter].strip() for letter in LETTERS if row.get(letter, "").strip() not in ("", "nan")}
        answer = answer.upper()
        if answer not in options:
            raise _UnusableRow("unknown answer", f"answer {answer!r} is none of {', '.join(options) or 'no options'}")
    hint = row.get("hint", "").strip()
    return Question(
        index=index,
        text=text,
        answer=answer,
        image=image,
        image_id=hashlib.sha256(image.encode()).hexdigest()[:16],
        category=row.get("category", "").strip(),
        hint="" if hint == "nan" else hint,
        options=options,
    )
