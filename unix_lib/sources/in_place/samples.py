"""What a kind of source says of its rows: which columns it reads, and what it makes of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unix_lib.records.lines import fault_of
from unix_lib.records.tables import TableRow
from unix_lib.sources.errors import BadRow

BAD_TEXT = "unusable text"


@dataclass(frozen=True)
class Draft:
    """A record that does not know its images yet: it has `text`, or `messages` of role and content."""

    kind: str  # see `records.schema`
    text: str | None = None
    messages: list[dict[str, str]] | None = None

    @property
    def content(self) -> str:
        """All that it says."""
        return self.text or "\n".join(f"{message['role']}: {message['content']}" for message in self.messages or [])


@dataclass(frozen=True)
class Reader:
    """How one kind of source reads its rows; `settings` are those of the kind's jobs."""

    # All rows of a file, of columns that each must have and of those that it may have.
    rows: Callable[[Path, Sequence[str], Sequence[str]], Iterator[TableRow]]
    image_columns: Callable[[Any], Sequence[str]]
    text_columns: Callable[[Any], Sequence[str]]
    # From a row's values to its images as they are stored, in order. Raises BadRow.
    images: Callable[[dict[str, Any], Any], list[bytes]]
    # From a row's values and its key, which random choices depend on. Raises BadRow.
    drafts: Callable[[dict[str, Any], Any, str], list[Draft]]
    # The codes of an image that was encoded already, None without. Raises BadRow.
    codes: Callable[[dict[str, Any], Any], list[int] | None] = lambda values, settings: None
    may_lack: bool = False  # whether a row may lack any of the columns

    def columns(self, wanted: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
        """Columns that a row must have, and those that it may have."""
        return ((), wanted) if self.may_lack else (wanted, ())


def usable_text(value: Any, what: str) -> str:
    """A text without white space around it.

    Raises:
        BadRow: no text, an empty one, or one that no record can hold.
    """
    if not isinstance(value, str):
        raise BadRow(BAD_TEXT, f"{what} is {_named(value)}")
    fault = "is empty" if not value.strip() else fault_of(value)
    if fault is not None:
        raise BadRow(BAD_TEXT, f"{what} {fault}")
    return value.strip()


def _named(value: Any) -> str:
    return "missing" if value is None else f"no text but {type(value).__name__}"
