"""What a user sees of an error that nobody foresaw: its cause in one line, the traceback in a file of its own."""

import tempfile
import traceback


def in_one_line(error: Exception) -> str:
    """The cause, and where the traceback lies."""
    shown = "".join(traceback.format_exception(error))
    cause = " ".join(f"unexpected {type(error).__name__}: {error}".split())
    try:
        with tempfile.NamedTemporaryFile("wb", prefix="unix-lib-", suffix=".log", delete=False) as file:
            file.write(shown.encode("utf-8", "backslashreplace"))
    except OSError:
        return f"{shown}\n{cause}"
    return f"{cause}; the traceback is in {file.name}"
