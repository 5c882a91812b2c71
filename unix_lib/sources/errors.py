"""The errors of the `sources` stage."""

from collections.abc import Iterable
from pathlib import Path

from unix_lib.artefacts.errors import UserError


class SourceError(UserError):
    """A source that can't be made as configured: what was wrong, where, what to do."""


class BadRow(Exception):
    """A row that is set aside: `reason` is fixed, so that it can be counted, `detail` is not; both repeat."""

    def __init__(self, reason: str, detail: str | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


def nothing_usable(source: str, what: str, reasons: Iterable[str], remedy: str, rejected: Path) -> SourceError:
    """The error of a source of whose samples none can be used.

    Args:
        what: what it has none of.
        reasons: how many were left out or set aside, and why.
        rejected: table of those set aside.
    """
    told = ", ".join(reasons) or "nothing was set aside"
    return SourceError(f"sources.{source}: no usable {what} ({told}); {remedy}; every rejected sample is in {rejected}")
