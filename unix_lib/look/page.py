"""Writes what is shown as one HTML page: pictures as data URLs, nothing from elsewhere, every text escaped."""

import base64
import io
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from unix_lib.look.shown import Picture, Shown

HERE = Path(__file__).parent


def page_of(shown: Shown) -> str:
    """The whole page."""
    return page_environment(HERE).get_template("page.html").render(shown=shown)


def page_environment(folder: Path, largest: int | None = None) -> Environment:
    """Templates of a folder, which may include `look.css` and, for a `shown`, `shown.html`.

    Args:
        largest: pixels of a side of a picture on the page; a larger one is shrunk, and stored as a photograph is.
    """
    environment = Environment(
        loader=FileSystemLoader([folder, HERE]), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["data_url"] = lambda picture: _data_url(picture, largest)
    return environment


def _data_url(picture: Picture, largest: int | None) -> str:
    image, form = Image.fromarray(picture.rgb), "png"
    if largest is not None and max(image.size) > largest:
        image.thumbnail((largest, largest), Image.Resampling.LANCZOS)
        form = "jpeg"
    stored = io.BytesIO()
    image.save(stored, form, **({"quality": 85} if form == "jpeg" else {}))
    return f"data:image/{form};base64,{base64.b64encode(stored.getvalue()).decode('ascii')}"
