"""What a line of the published layout, or of LLaVA's, says."""

import json
from pathlib import Path
from typing import Any

from unix_lib.records.phrases import CAPTION_PHRASE
from unix_lib.records.schema import CONVERSATION, IMAGE_TEXT, TEXT
from unix_lib.records.tables import read_table
from unix_lib.sources.conversations.kind import ConversationColumns
from unix_lib.sources.conversations.layouts import checked_messages, messages_of
from unix_lib.sources.errors import BadRow
from unix_lib.sources.in_place.cells import image_bytes
from unix_lib.sources.in_place.samples import BAD_TEXT, Draft, Reader, usable_text
from unix_lib.sources.jsonl.kind import RowImage

PAIR, TURN = "^^^pair_split^^^", "^^^turn_split^^^"
PLACEHOLDER = "<image>"  # of an image in a turn; images come first here
ABSENT = (None, "", "no")  # what stands where there is nothing
CAPTIONED, ASKED, PLAIN = ("image_text", "t2i"), ("i2t", "i2t_multi"), ("text", "text_pretrain")
TEXT_COLUMNS = ("data_type", "text", "caption", "conversations", "instruction", "input", "output")
BAD_CODES = "unusable codes"


def _images(values: dict[str, Any], settings: RowImage) -> list[bytes]:
    names = values.get(settings.image_column)
    if names in ABSENT:
        return []
    if settings.image_folder is None:
        raise BadRow("image without folder", "its image is a file's name, and the source has no image_folder")
    return image_bytes(names, Path(settings.image_folder))


def _codes(values: dict[str, Any], settings: RowImage) -> list[int] | None:
    codes = values.get(settings.code_column)
    if codes in ABSENT:
        return None
    if isinstance(codes, str):
        try:
            codes = json.loads(codes)
        except (ValueError, RecursionError) as error:
            raise BadRow(BAD_CODES, f"'{settings.code_column}' is no JSON list") from error
    if not isinstance(codes, list) or not codes or not all(type(code) is int for code in codes):
        raise BadRow(BAD_CODES, f"'{settings.code_column}' is no list of whole numbers")
    if min(codes) < 0 or max(codes) >= 2**16:
        raise BadRow(BAD_CODES, f"codes from {min(codes)} to {max(codes)}; they are stored in 16 bits")
    return codes


def _drafts(values: dict[str, Any], settings: object, key: str) -> list[Draft]:
    data_type, text = values.get("data_type"), values.get("text")
    if text in ABSENT:
        text = values.get("caption")
    if values.get("conversations") not in (*ABSENT, []):
        return [Draft(CONVERSATION, messages=checked_messages(_without_placeholders(values["conversations"])))]
    if values.get("instruction") not in ABSENT:
        return [Draft(CONVERSATION, messages=messages_of(values, "alpaca", ConversationColumns()))]
    if data_type in ASKED:
        turns = _split_turns(usable_text(text, "the text"))
        return [Draft(CONVERSATION, messages=checked_messages(turns))]
    if data_type in CAPTIONED:
        return [Draft(IMAGE_TEXT, text=usable_text(text, "the caption"))]
    if data_type in PLAIN or data_type in ABSENT:
        return [Draft(TEXT, text=usable_text(text, "the text"))]
    known = ", ".join((*PLAIN, *CAPTIONED, *ASKED))
    raise BadRow("unknown data_type", f"{str(data_type)[:50]!r}; known: {known}")


def _without_placeholders(turns: Any) -> Any:
    """Turns without what stands for an image in them, which comes first here."""
    if isinstance(turns, list):
        return [_without_placeholders(turn) for turn in turns]
    if isinstance(turns, dict):
        return {name: _without_placeholders(value) for name, value in turns.items()}
    return turns.replace(PLACEHOLDER, "").strip() if isinstance(turns, str) else turns


def _split_turns(text: str) -> list[dict[str, str]]:
    """Turns of a text: question and answer each; an answer alone is a caption."""
    turns = []
    for number, pair in enumerate(text.split(TURN), start=1):
        question, split, answer = pair.partition(PAIR)
        if not split:
            question, answer = "", pair
        if PAIR in answer:
            raise BadRow(BAD_TEXT, f"turn {number} has more than one {PAIR}")
        turns.append({"role": "user", "content": question if question.strip() else CAPTION_PHRASE})
        turns.append({"role": "assistant", "content": answer})
    return turns


READER = Reader(
    rows=read_table,
    image_columns=lambda settings: [settings.image_column, settings.code_column],
    text_columns=lambda settings: TEXT_COLUMNS,
    images=_images,
    drafts=_drafts,
    codes=_codes,
    may_lack=True,
)
