"""What goes wrong with translations."""

from unix_lib.artefacts.errors import UserError


class TranslateError(UserError):
    """A translation that can't be made."""


class Unfaithful(Exception):
    """A text whose translation is set aside: why, in words that repeat.

    What the model is told of it names no token or placeholder, which it must not see.
    """

    def __init__(self, reason: str, detail: str, told: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.detail, self.told = reason, detail, told or detail
