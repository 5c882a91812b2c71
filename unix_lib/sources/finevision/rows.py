"""What a row of FineVision's layout says: a conversation about its images."""

from typing import Any

from unix_lib.records.tables import read_table
from unix_lib.sources.finevision.kind import ImageColumn, TextColumn
from unix_lib.sources.in_place.cells import image_bytes
from unix_lib.sources.in_place.samples import BAD_TEXT, BadRow, Draft, Reader, conversation


def _images(values: dict[str, Any], settings: ImageColumn) -> list[bytes]:
    return image_bytes(values[settings.image_column])


def _drafts(values: dict[str, Any], settings: TextColumn, key: str) -> list[Draft]:
    turns = values[settings.text_column]
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise BadRow(BAD_TEXT, f"'{settings.text_column}' is no list of turns")
    return [conversation([(role, turn.get(role)) for turn in turns for role in ("user", "assistant")])]


READER = Reader(
    rows=read_table,
    image_columns=lambda settings: [settings.image_column],
    text_columns=lambda settings: [settings.text_column],
    images=_images,
    drafts=_drafts,
)
