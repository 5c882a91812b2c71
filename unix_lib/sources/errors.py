"""The errors of the `sources` stage."""

from unix_lib.artefacts.errors import UserError


class SourceError(UserError):
    """A source that can't be made as configured: what was wrong, where, what to do."""


class BadRow(Exception):
    """A row that is set aside: `reason` is fixed, so that it can be counted, `detail` is not; both repeat."""

    def __init__(self, reason: str, detail: str | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail
