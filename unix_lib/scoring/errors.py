"""Errors of scoring that a user can mend."""

from unix_lib.artefacts.errors import UserError


class ScoringError(UserError):
    """A model or a benchmark that can't be scored; the message says why and what to do."""
