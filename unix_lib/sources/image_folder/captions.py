"""Rows of a caption file, JSONL or CSV, with columns `image` and `caption`.

What flows in: a user's file. What flows out: one row per sample, or the reason why a line is none. Bytes that are not
UTF-8 spoil their line, not the file.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from unix_lib.sources.errors import SourceError

MALFORMED = "malformed row"
COLUMNS = ("image", "caption")
REPLACEMENT = "\ufffd"  # what undecodable bytes are read as


@dataclass(frozen=True)
class CaptionRow:
    """One line of the file; `fault` says why it can't be used."""

    line: int  # 1-based
    image: str
    caption: str
    fault: str | None = None


def read_captions(path: Path) -> Iterator[CaptionRow]:
    """Rows of a caption file, in order; blank lines are no rows.

    Raises:
        SourceError: no such file, neither .csv nor .jsonl, or a CSV without the two columns.
    """
    if not path.is_file():
        raise SourceError(f"{path}: no such caption file; set 'captions' to a JSONL or CSV file")
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".jsonl"):
        raise SourceError(f"{path}: a caption file ends in .csv or .jsonl; convert or rename it")
    yield from _csv_rows(path) if suffix == ".csv" else _jsonl_rows(path)


def _jsonl_rows(path: Path) -> Iterator[CaptionRow]:
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        for line, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                values = json.loads(text)
            except (ValueError, RecursionError) as error:
                yield CaptionRow(line, "", "", f"not JSON: {error}")
                continue
            yield _row(line, values)


def _csv_rows(path: Path) -> Iterator[CaptionRow]:
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.DictReader(file)
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or [])]
        if missing:
            raise SourceError(f"{path}: no column '{missing[0]}' in the first line; name the columns image,caption")
        while True:
            try:
                values = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield CaptionRow(reader.line_num, "", "", f"not CSV: {error}")
                continue
            if None in values:
                yield CaptionRow(
                    reader.line_num,
                    str(values["image"] or ""),
                    "",
                    "more fields than columns; put a caption with commas in quotes",
                )
            else:
                yield _row(reader.line_num, values)


def _row(line: int, values: object) -> CaptionRow:
    if not isinstance(values, dict):
        return CaptionRow(line, "", "", "not an object with 'image' and 'caption'")
    fields = [values.get(column) for column in COLUMNS]
    texts = [field if isinstance(field, str) else "" for field in fields]
    image, caption = (text.replace("\0", "").strip() for text in texts)
    for column, field in zip(COLUMNS, fields, strict=True):
        if not isinstance(field, str):
            return CaptionRow(line, image, "", f"'{column}' is missing or no text")
        if REPLACEMENT in field:
            return CaptionRow(line, image, "", f"'{column}' is not UTF-8")
        if "\0" in field:
            return CaptionRow(line, image, "", f"'{column}' has a NUL character")
    return CaptionRow(line, image, caption)
