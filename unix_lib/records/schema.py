"""The schemas that data have on their way from sources to packs.

A source writes records and, apart from them, the images that they show; encoding turns images into codes, tokenizing
texts into tokens; packing joins the two by an image's id. So a changed caption touches no image, and an image that
several records show is decoded and encoded once.
"""

from typing import Any

import pyarrow as pa

Row = dict[str, Any]  # of a table, by column

TEXT, IMAGE_TEXT, CONVERSATION = "text", "image_text", "conversation"
ROLES = ("system", "user", "assistant")

MESSAGE = pa.struct([pa.field("role", pa.string()), pa.field("content", pa.string())])

RECORD = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),  # unique within the source, stable between runs
        pa.field("kind", pa.string(), nullable=False),  # text | image_text | conversation
        pa.field("text", pa.string()),  # document or caption; null for a conversation, an image alone
        pa.field("messages", pa.list_(MESSAGE)),  # turns of a conversation, each of one of `ROLES`
        pa.field("image_ids", pa.list_(pa.string())),  # images that it shows, in order; null without one
        pa.field("source", pa.string(), nullable=False),  # name of the source in the config
    ]
)
IMAGE = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),  # see `unix_lib.images.files.image_id`; each once
        pa.field("image", pa.binary(), nullable=False),  # PNG or JPEG bytes
        pa.field("width", pa.int32(), nullable=False),  # pixels
        pa.field("height", pa.int32(), nullable=False),
    ]
)
CODES = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("image_codes", pa.list_(pa.uint16()), nullable=False),  # row-major
    ]
)
TOKENIZED = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("tokens", pa.list_(pa.int32()), nullable=False),  # its own, ids with flags: `unix_lib.tokenize.flags`
        pa.field("trained_length", pa.int32(), nullable=False),  # those of them that may be trained
        pa.field("first_trained", pa.bool_(), nullable=False),  # whether the first of them may
        pa.field("turns", pa.list_(pa.bool_()), nullable=False),  # where turns are kept apart, whether each may
        pa.field("image_ids", pa.list_(pa.string()), nullable=False),
    ]
)

REJECTED = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("origin", pa.string(), nullable=False),  # file and row it came from
        pa.field("reason", pa.string(), nullable=False),  # short and fixed, so that reasons can be counted
        pa.field("detail", pa.string()),  # what exactly was wrong
    ]
)
