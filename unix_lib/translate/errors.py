"""What goes wrong with translations."""

from unix_lib.artefacts.errors import UserError


class TranslateError(UserError):
    """A translation that can't be made."""


class Unfaithful(Exception):
    """A text whose translation is set aside: why, in words that repeat."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail
