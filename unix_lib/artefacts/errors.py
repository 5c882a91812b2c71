"""The root of errors that a user can mend: shown as one line, without a traceback."""


class UserError(Exception):
    """What was wrong, where, and what to do about it."""
