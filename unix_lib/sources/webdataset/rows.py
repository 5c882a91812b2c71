"""What a sample of a tar shard says: a caption of its image."""

from typing import Any

from unix_lib.sources.image_pairs.rows import READER as PAIRS
from unix_lib.sources.in_place.samples import Reader
from unix_lib.sources.webdataset.tar import IMAGE, read_tar


def _images(values: dict[str, Any], settings: object) -> list[bytes]:
    return [values[IMAGE]]


READER = Reader(
    rows=read_tar,
    image_columns=lambda settings: [IMAGE],
    text_columns=PAIRS.text_columns,
    images=_images,
    drafts=PAIRS.drafts,
)
