"""Reads benchmarks of one JSON object a line; a line that is none is set aside."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unix_lib.records.lines import BadLine, numbered_lines, text_of, value_of

MALFORMED = "malformed row"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RejectedRow:
    """A row or image that was set aside."""

    sample_id: str
    origin: str
    reason: str
    detail: str


def read_json_rows(path: Path, checked: Callable[[Any], Any]) -> tuple[list[Any], list[RejectedRow]]:
    """What `checked` gives of each line's value, and the lines of which it raises `BadLine`."""
    rows, rejected = read_placed_rows(path, checked)
    return [row for _, row in rows], rejected


def read_placed_rows(path: Path, checked: Callable[[Any], Any]) -> tuple[list[tuple[int, Any]], list[RejectedRow]]:
    """The same with each row's place among the lines that are not blank, from 0."""
    rows: list[tuple[int, Any]] = []
    rejected: list[RejectedRow] = []
    for place, (number, line) in enumerate(numbered_lines(path)):
        try:
            rows.append((place, checked(value_of(text_of(line)))))
        except BadLine as fault:
            where = f"{path.name}:{number}"
            log.info("%s: %s (%s)", where, fault, fault.__cause__)
            rejected.append(RejectedRow(f"row-{number}", where, MALFORMED, str(fault)))
    return rows, rejected


def first_of(rejected: list[RejectedRow]) -> str:
    """What an error about a file without a usable row says of those that it has."""
    return f"; the first was set aside as {rejected[0].reason} ({rejected[0].detail})" if rejected else ""
