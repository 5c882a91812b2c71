"""Reads files of one record a line as physical lines: what damages a line spoils that line and no other.

A line ends with a newline, a carriage return or both. What else Unicode calls the end of a line, such as U+2028, may
stand in a text. A line of white space is no record.
"""

import codecs
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from unix_lib.config.hub_files import openable

GZIP = ".gz"


class BadLine(Exception):
    """Says in words that repeat why a line is no record; another library's words are its `__cause__`."""


def opened(path: Path) -> IO[bytes]:
    """A file's bytes, unpacked where its name ends in `.gz`; a damaged one raises gzip's own errors or EOFError.

    Raises:
        OSError: the file can't be read.
    """
    return cast("IO[bytes]", gzip.open(openable(path))) if path.name.lower().endswith(GZIP) else path.open("rb")


def numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines without their ends, each with its number from 1; a byte order mark is no part of the first.

    Raises:
        OSError, EOFError, zlib.error: the file can't be read, see `opened`.
    """
    with opened(path) as file:
        lines = (line for block in file for line in block.splitlines())  # of bytes, which know no other ends
        for number, line in enumerate(lines, start=1):
            record = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            if record.strip():
                yield number, record


def text_of(line: bytes) -> str:
    """A line's text.

    Raises:
        BadLine: not UTF-8.
    """
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadLine(f"not UTF-8 at byte {error.start} of the line") from None


def value_of(text: str) -> Any:
    """The JSON value of a line.

    Raises:
        BadLine: not JSON, or an object has a key twice, as where two lines ran into one.
    """
    try:
        return json.loads(text, object_pairs_hook=keys_once)
    except (ValueError, RecursionError) as error:
        raise BadLine("not JSON") from error


def keys_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of these pairs.

    Raises:
        BadLine: a key stands twice.
    """
    values = dict(pairs)
    if len(values) < len(pairs):
        raise BadLine("not JSON: a key stands twice in one object")
    return values


def fault_of(text: str) -> str | None:
    """What makes a text unfit for a record, as the end of a sentence about it; None where nothing does.

    A byte that is not UTF-8 is known where the text was decoded with `surrogateescape`.
    """
    if "\0" in text:
        return "has a NUL character"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return "is not UTF-8" if "\udc80" <= text[error.start] <= "\udcff" else "has half of a surrogate pair"
    return None
