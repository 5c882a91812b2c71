"""What commands print to."""

import sys

from rich.console import Console

# Nothing in a path or a name is a colour or a picture.
console = Console(width=None if sys.stdout.isatty() else 120, markup=False, emoji=False)
