"""The error of the `sources` stage."""

from unix_lib.artefacts.errors import UserError


class SourceError(UserError):
    """A source that can't be made as configured: what was wrong, where, what to do."""
