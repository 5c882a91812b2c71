"""The kind of source `image_pairs`: tables with an image and its captions a row, read in place.

A row of TSV: the image in base64, and a caption, or captions as a JSON list. Of Parquet: bytes or a struct with
`bytes`, and a text or a list of texts.
"""

from typing import Literal

from unix_lib.config.strict import StrictModel, key
from unix_lib.sources.in_place.settings import ImageRowSource, PlannedImages, PlannedRecords, kind_in_place


class ImageColumn(StrictModel):
    """Where the images are."""

    image_column: str = key("column of the image: bytes, a struct with `bytes`, or base64", "image")


class CaptionColumn(StrictModel):
    """Where the captions are, and which of several is taken."""

    caption_column: str = key("column of the caption: a text, or a list of texts, also as JSON", "caption")
    captions: Literal["longest", "random", "all"] = key(
        "of several captions the longest, a random one by the row's place, or all, each a record of its own", "longest"
    )


class PlannedPairImages(ImageColumn, PlannedImages):
    """The job of one part's images."""

    reader_at = "unix_lib.sources.image_pairs.rows:READER"


class PlannedPairRecords(CaptionColumn, PlannedRecords):
    """The job of one part's records."""

    reader_at = "unix_lib.sources.image_pairs.rows:READER"


class ImagePairsSource(ImageColumn, CaptionColumn, ImageRowSource):
    """Images with captions in TSV, CSV, JSON lines or Parquet, read in place."""

    kind: Literal["image_pairs"]


KIND = kind_in_place(ImagePairsSource, PlannedPairImages, PlannedPairRecords)
