"""Reads questions about images from TSV files in the layout of VLMEvalKit (POPE, MME, MMBench, SEED-Bench).

A file has the columns `index, question, answer, image` and, by layout, `A, B, C, D, hint, category, l2-category, split,
image_path`. An image is base64 text, or the index of the row that holds it. Rows that can't be used are set aside with
reasons. The base64 text is kept until an image is needed, so that a file of 14,000 images does not become 14,000
bitmaps.
"""

import base64
import binascii
import hashlib
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from unix_lib.artefacts.errors import UserError
from unix_lib.benchmarks.rows import MALFORMED, RejectedRow, first_of
from unix_lib.benchmarks.settings import Layout
from unix_lib.records.delimited import read_delimited
from unix_lib.records.lines import fault_of
from unix_lib.records.questions import LETTERS
from unix_lib.records.rejected import encodable

LAYOUTS: dict[Layout, tuple[str, ...]] = {
    "pope": ("index", "question", "answer", "image"),
    "mme": ("index", "question", "answer", "image", "category"),
    "mmbench": ("index", "question", "answer", "image", "A", "B"),
    "seed": ("index", "question", "answer", "image", "A", "B", "category"),
}
YES_NO_LAYOUTS = ("pope", "mme")
# VLMEvalKit's own rule: an image field this short is the index of another row, not an image.
LONGEST_REFERENCE = 64
FAULT = "\t"  # key of why a row can't be read; no column can be called that

log = logging.getLogger(__name__)


class QuestionFileError(UserError):
    """A question file that can't be used at all; single bad rows are set aside instead."""


@dataclass(frozen=True)
class Question:
    """One question; `image` is base64 text, `image_id` the same for all questions about one image.

    `picture` is what the file calls the image (column `image_path`), else the `image_id`.
    """

    index: str
    text: str
    answer: str  # yes | no, or the letter of an option
    image: str
    image_id: str
    picture: str = ""
    category: str = ""  # of POPE several, with commas between them
    wider_category: str = ""  # column `l2-category`
    split: str = ""
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


def read_questions(path: Path, layout: Layout, limit: int | None = None) -> tuple[list[Question], list[RejectedRow]]:
    """Read a benchmark's questions.

    Raises:
        QuestionFileError: missing, without a needed column, or without a single usable row.
    """
    try:
        rows = list(_rows(path, layout))
    except FileNotFoundError:
        raise QuestionFileError(f"{path}: no such benchmark file; `unix-lib fetch` gets it") from None
    images: dict[str, str] = {}
    for _, row in rows:
        if FAULT not in row and len(row["image"].strip()) > LONGEST_REFERENCE:
            images.setdefault(row["index"].strip(), row["image"].strip())
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
            log.info("%s: %s (%s)", where, unusable.reason, unusable.__cause__ or unusable.detail)
            rejected.append(RejectedRow(row.get("index") or f"row-{number}", where, unusable.reason, unusable.detail))
            continue
        seen.add(question.index)
        questions.append(question)
    if not questions:
        raise QuestionFileError(f"{path}: no usable question{first_of(rejected)}; fetch or make it again")
    return questions, rejected


def _rows(path: Path, layout: Layout) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows as dictionaries with their line numbers; one that can't be used has what it has, and its `FAULT`."""
    records = read_delimited(path, "\t", _swallows, sys.maxsize)
    header = next(records, None)
    columns = [] if header is None else header.fields
    missing = [column for column in LAYOUTS[layout] if column not in columns]
    if missing:
        raise QuestionFileError(
            f"{path}: no column '{missing[0]}', which layout {layout} needs; it has: {encodable(', '.join(columns))}"
        )
    for record in records:
        row = dict(zip(columns, record.fields, strict=False))
        fault = record.fault
        if fault is None and len(record.fields) != len(columns):
            fault = f"{len(record.fields)} of {len(columns)} columns"
        told = (f"'{column}' {fault_of(text)}" for column, text in row.items() if fault_of(text))
        fault = fault or next(told, None)
        yield record.line, row if fault is None else row | {FAULT: fault}


def _swallows(first: int, lines: Sequence[str], fields: Sequence[str]) -> str | None:
    """Why a row of several lines is none: it has a column's end within a field, so that quote was not meant."""
    if not any("\t" in field and any(end in field for end in "\r\n") for field in fields):
        return None
    return f"a quote that is not closed before line {first + 1}: a field of several lines has a tab in it"


def _question(row: dict[str, str], layout: Layout, images: dict[str, str], seen: set[str]) -> Question:
    """The row's question.

    Raises:
        _UnusableRow: says why the row is set aside.
    """
    if FAULT in row:
        raise _UnusableRow(MALFORMED, row[FAULT])
    index, text = row["index"].strip(), row["question"].strip()
    if not index or index in seen:
        raise _UnusableRow("bad index", f"index '{index}' is {'repeated' if index else 'empty'}")
    if not text:
        raise _UnusableRow("empty question", "")
    image = row["image"].strip()
    if len(image) <= LONGEST_REFERENCE:
        if image not in images:
            raise _UnusableRow("unknown image reference", f"image '{image}' is the index of no row with an image")
        image = images[image]
    try:
        base64.b64decode("".join(image.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _UnusableRow("bad base64", "a character that base64 has not, or a wrong length") from error

    options: dict[str, str] = {}
    answer = row["answer"].strip()
    if layout in YES_NO_LAYOUTS:
        answer = answer.lower()
        if answer not in ("yes", "no"):
            raise _UnusableRow("unknown answer", f"answer '{answer}' is neither yes nor no")
    else:
        options = {letter: row[letter].strip() for letter in LETTERS if row.get(letter, "").strip() not in ("", "nan")}
        answer = answer.upper()
        if answer not in options:
            raise _UnusableRow("unknown answer", f"answer '{answer}' is none of {', '.join(options) or 'no options'}")
    image_id = hashlib.sha256(image.encode()).hexdigest()[:16]
    return Question(
        index=index,
        text=text,
        answer=answer,
        image=image,
        image_id=image_id,
        picture=_given(row, "image_path") or image_id,
        category=row.get("category", "").strip(),
        wider_category=_given(row, "l2-category"),
        split=_given(row, "split"),
        hint=_given(row, "hint"),
        options=options,
    )


def _given(row: dict[str, str], column: str) -> str:
    """What a column says; pandas writes "nan" where it says nothing."""
    text = row.get(column, "").strip()
    return "" if text == "nan" else text
