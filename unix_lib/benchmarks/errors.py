"""The error of a benchmark that can't be used."""

from unix_lib.artefacts.errors import UserError


class BenchmarkError(UserError):
    """A benchmark that can't be asked or scored as its settings say."""
