"""Images in a cell of a table: as bytes, in base64, or as the name of a file."""

import base64
import binascii
from pathlib import Path
from typing import Any

from unix_lib.sources.errors import BadRow

NO_BYTES = "image without bytes"
NOT_BASE64 = "not base64"
MISSING = "image file missing"


def image_bytes(cell: Any, folder: Path | None = None) -> list[bytes]:
    """The images of a cell as they are stored, in order: bytes, a struct with `bytes`, a text, or a list of these.

    Args:
        folder: where texts are names of files below it; without one they are base64.

    Raises:
        BadRow: an image that has no bytes here.
    """
    if cell is None:
        return []
    if isinstance(cell, list | tuple):
        return [data for one in cell for data in image_bytes(one, folder)]
    if isinstance(cell, dict):
        cell = cell.get("bytes")
    if isinstance(cell, bytes):
        return [cell]
    if not isinstance(cell, str):
        raise BadRow(NO_BYTES, "needed are bytes, a struct with 'bytes', a text, or a list of these")
    return [_decoded(cell) if folder is None else _read(cell, folder)]


def _decoded(text: str) -> bytes:
    try:  # a data URL has a comma, which base64 has not
        return base64.b64decode("".join(text.rpartition(",")[2].split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRow(NOT_BASE64, "the text of an image can't be decoded") from error


def _read(name: str, folder: Path) -> bytes:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise BadRow(MISSING, f"{name} leads out of the folder of images")
    try:
        return (folder / name).read_bytes()
    except (OSError, ValueError) as error:
        raise BadRow(MISSING, f"no readable file {name} in the folder of images") from error
