"""What a row of FineVision's layout says: a conversation about its images."""

from typing import Any

from unix_lib.records.schema import CONVERSATION
from unix_lib.records.tables import read_table
from unix_lib.sources.conversations.layouts import checked_messages
from unix_lib.sources.finevision.kind import ImageColumn, TextColumn
from unix_lib.sources.in_place.cells import image_bytes
from unix_lib.sources.in_place.samples import Draft, Reader


def _images(values: dict[str, Any], settings: ImageColumn) -> list[bytes]:
    return image_bytes(values[settings.image_column])


def _drafts(values: dict[str, Any], settings: TextColumn, key: str) -> list[Draft]:
    turns = values[settings.text_column]
    if isinstance(turns, list):  # a struct is a question and its answer
        turns = [
            {"role": role, "content": turn.get(role)} if isinstance(turn, dict) else turn
            for turn in turns
            for role in ("user", "assistant")
        ]
    return [Draft(CONVERSATION, messages=checked_messages(turns))]


READER = Reader(
    rows=read_table,
    image_columns=lambda settings: [settings.image_column],
    text_columns=lambda settings: [settings.text_column],
    images=_images,
    drafts=_drafts,
)
