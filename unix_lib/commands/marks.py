"""Marks: a coloured word before a line, and what stands before a figure that nobody measured.

What follows a word is shown as it stands: paths and names may hold brackets and colons.
"""

from rich.text import Text

NOT_MEASURED = "~"


def marked(mark: str, color: str, text: str = "") -> Text:
    """A line that begins with a word in a colour."""
    return Text.assemble((mark, color), f" {text}" if text else "")
