"""A coloured word before a line. What follows is shown as it stands: paths and names may hold brackets and colons."""

from rich.text import Text


def marked(mark: str, color: str, text: str = "") -> Text:
    """A line that begins with a word in a colour."""
    return Text.assemble((mark, color), f" {text}" if text else "")
