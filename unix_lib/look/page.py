"""Writes items as one HTML page: pictures as data URLs, nothing from elsewhere, every text escaped."""

import base64
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from unix_lib.look.shown import Shown

TEMPLATE = "page.html"


def page_of(shown: Shown) -> str:
    """The whole page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["data_url"] = lambda png: f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
    return environment.get_template(TEMPLATE).render(shown=shown)
