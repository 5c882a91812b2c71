"""The one schema of a record, from source to pack.

A source writes `image`; encoding replaces it with `image_codes`. Everything else stays.
"""

import pyarrow as pa

TEXT, IMAGE_TEXT, CONVERSATION = "text", "image_text", "conversation"

MESSAGE = pa.struct([pa.field("role", pa.string()), pa.field("content", pa.string())])

_COMMON = [
    pa.field("sample_id", pa.string(), nullable=False),  # unique within the source, stable between runs
    pa.field("kind", pa.string(), nullable=False),  # text | image_text | conversation
    pa.field("text", pa.string()),  # the document, or the image's caption; null for a conversation
    pa.field("messages", pa.list_(MESSAGE)),  # turns of a conversation, roles "user" and "assistant"
]
_TAIL = [
    pa.field("width", pa.int32()),  # pixels of the stored image; null without image
    pa.field("height", pa.int32()),
    pa.field("source", pa.string(), nullable=False),  # name of the source in the config
]

SOURCE_RECORD = pa.schema([*_COMMON, pa.field("image", pa.binary()), *_TAIL])  # image: PNG or JPEG bytes
ENCODED_RECORD = pa.schema([*_COMMON, pa.field("image_codes", pa.list_(pa.uint16())), *_TAIL])  # row-major codes

REJECTED = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("origin", pa.string(), nullable=False),  # file and row it came from
        pa.field("reason", pa.string(), nullable=False),  # short and fixed, so that reasons can be counted
        pa.field("detail", pa.string()),  # what exactly was wrong
    ]
)
