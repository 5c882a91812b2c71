"""The kind of source `finevision`: Parquet shards in FineVision's layout, read in place.

A row: `images` list<struct<bytes, path>>, `texts` list<struct<user, assistant>>, and ratings that a filter may ask for.
"""

from typing import Literal

from unix_lib.config.strict import StrictModel, key
from unix_lib.sources.in_place.settings import ImageRowSource, PlannedImages, PlannedRecords, kind_in_place


class ImageColumn(StrictModel):
    """Where the images are."""

    image_column: str = key("column of the images, bytes or structs with `bytes`, one or a list", "images")


class TextColumn(StrictModel):
    """Where the turns are."""

    text_column: str = key("column of the turns, a list of structs with `user` and `assistant`", "texts")


class PlannedFineVisionImages(ImageColumn, PlannedImages):
    """The job of one part's images."""

    reader_at = "unix_lib.sources.finevision.rows:READER"


class PlannedFineVisionRecords(TextColumn, PlannedRecords):
    """The job of one part's records."""

    reader_at = "unix_lib.sources.finevision.rows:READER"


class FineVisionSource(ImageColumn, TextColumn, ImageRowSource):
    """Conversations about images in Parquet shards of FineVision's layout, read in place."""

    kind: Literal["finevision"]


KIND = kind_in_place(FineVisionSource, PlannedFineVisionImages, PlannedFineVisionRecords)
