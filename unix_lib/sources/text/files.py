"""Reads the texts of a user's files: plain ones, a file a text, and tables, a row a text.

A plain file is gone through twice, so that one that is not UTF-8 to its end gives nothing and a large one fits into
memory. Where a compressed one breaks off, what was before it counts.
"""

import codecs
import gzip
import io
import logging
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, cast

from unix_lib.records.lines import GZIP, fault_of, opened
from unix_lib.records.rejected import RejectedSamples
from unix_lib.records.tables import BREAKS_OFF, SUFFIXES
from unix_lib.sources.errors import SourceError
from unix_lib.sources.rows import TakenRows
from unix_lib.sources.text.documents import LONGEST_PARAGRAPH, cut_into_documents, documents_of
from unix_lib.sources.text.reference import UNDECODABLE

EMPTY = "empty text"
NOT_TEXT = "not plain text"
BROKEN = "broken file"
BLOCK = 1 << 20  # bytes
DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)

_log = logging.getLogger(__name__)


def documents_in(taken: TakenRows, text_column: str, longest: int) -> Iterator[tuple[str, Iterable[str]]]:
    """(name, documents) of every text that a job takes of its files; the name says file and row.

    Args:
        text_column: the column of tables that has the texts.
        longest: characters of a document.

    Raises:
        SourceError: a fault of the disk in a file that could be read before.
    """
    for path, name in taken.files():
        if path.name.lower().removesuffix(GZIP).endswith(SUFFIXES):
            for place, row in taken.rows(path, name, [text_column]):
                text = row.values[text_column]
                if _is_usable(text, place, taken.rejected):
                    yield place, cut_into_documents(text, longest)
            continue
        try:
            if taken.takes(name, {}) and _is_usable_file(path, name, taken.rejected):
                yield name, documents_of(_lines(path, name, taken.rejected), longest)
        except OSError as error:
            raise SourceError(f"{name}: {error.strerror} while it was being read; run again") from None


def _is_usable(text: Any, name: str, rejected: RejectedSamples) -> bool:
    """Whether what stands in a row is a text; what is none is set aside."""
    if not isinstance(text, str):
        rejected.add(name, name, NOT_TEXT, f"it is {'null' if text is None else type(text).__name__}, not a text")
    elif not text.strip():
        rejected.add(name, name, EMPTY)
    elif (fault := fault_of(text)) is not None:
        rejected.add(name, name, NOT_TEXT, f"it {fault}")
    else:
        return True
    return False


def _is_usable_file(path: Path, name: str, rejected: RejectedSamples) -> bool:
    """Whether a file is a text as far as it can be read; one that is none is set aside."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    begin, is_empty, has_nul, breaks_off = 0, True, False, False
    with opened(path) as file:
        while True:
            block = _block(file)
            begin_of_block = begin - len(decoder.getstate()[0])
            try:
                text = decoder.decode(block or b"", final=block == b"")
            except UnicodeDecodeError as error:
                rejected.add(name, name, UNDECODABLE, f"not UTF-8 at byte {begin_of_block + error.start}")
                return False
            begin += len(block or b"")
            is_empty, has_nul, breaks_off = is_empty and not text.strip(), has_nul or "\0" in text, block is None
            if not block:
                break
    if has_nul:
        rejected.add(name, name, NOT_TEXT, "it has a NUL character")
    elif is_empty:
        rejected.add(name, name, BROKEN if breaks_off else EMPTY, BREAKS_OFF if breaks_off else None)
    return not has_nul and not is_empty


def _block(file: IO[bytes]) -> bytes | None:
    """The next bytes, none at the end; None where a compressed file breaks off."""
    try:
        return cast(io.BufferedIOBase, file).read1(BLOCK)  # gives what comes before a break
    except DAMAGED as error:
        _log.info("%s", error)
        return None


def _lines(path: Path, name: str, rejected: RejectedSamples) -> Iterator[str]:
    """Lines of a usable file, or pieces of very long ones, up to where it breaks off, which is set aside."""
    with io.TextIOWrapper(opened(path), encoding="utf-8-sig", errors="ignore") as file:
        try:
            while line := file.readline(LONGEST_PARAGRAPH):
                yield line
        except DAMAGED as error:
            _log.info("%s: %s", name, error)
            rejected.add(name, name, BROKEN, BREAKS_OFF)
