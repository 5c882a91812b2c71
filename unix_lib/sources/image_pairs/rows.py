"""What a row of image and captions says."""

import hashlib
import json
from contextlib import suppress
from typing import Any

from unix_lib.records.schema import IMAGE_TEXT
from unix_lib.records.tables import read_table
from unix_lib.sources.errors import BadRow
from unix_lib.sources.image_pairs.kind import CaptionColumn, ImageColumn
from unix_lib.sources.in_place.cells import image_bytes
from unix_lib.sources.in_place.samples import BAD_TEXT, Draft, Reader, usable_text


def _images(values: dict[str, Any], settings: ImageColumn) -> list[bytes]:
    images = image_bytes(values[settings.image_column])
    if len(images) > 1:
        raise BadRow("several images", f"{len(images)}; a row of a caption shows one")
    return images


def _drafts(values: dict[str, Any], settings: CaptionColumn, key: str) -> list[Draft]:
    captions = captions_of(values[settings.caption_column])
    return [Draft(IMAGE_TEXT, text=caption) for caption in chosen(captions, settings.captions, key)]


def captions_of(cell: Any) -> list[str]:
    """The captions in a cell, each once; of a list those that are texts.

    Raises:
        BadRow: there is none.
    """
    if isinstance(cell, str) and cell.lstrip()[:1] in ("[", "{", '"'):
        with suppress(ValueError, RecursionError):  # a caption that begins like JSON
            cell = json.loads(cell)
    if isinstance(cell, dict):
        cell = list(cell.values())
    if not isinstance(cell, list):
        return [usable_text(cell, "the caption")]
    usable = []
    for each in cell:
        try:
            usable.append(usable_text(each, "a caption"))
        except BadRow:
            continue
    if not usable:
        raise BadRow(BAD_TEXT, f"none of its {len(cell)} captions is a text")
    return list(dict.fromkeys(usable))


def chosen(captions: list[str], which: str, key: str) -> list[str]:
    """Those captions that become records; a random one depends on the key only."""
    if which == "all":
        return captions
    if which == "longest":
        return [max(captions, key=len)]
    return [captions[int.from_bytes(hashlib.sha256(f"caption/{key}".encode()).digest()[:8], "big") % len(captions)]]


READER = Reader(
    rows=read_table,
    image_columns=lambda settings: [settings.image_column],
    text_columns=lambda settings: [settings.caption_column],
    images=_images,
    drafts=_drafts,
)
