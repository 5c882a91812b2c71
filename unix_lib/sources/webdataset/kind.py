"""The kind of source `webdataset`: tar shards, members of one name and other endings a sample, read in place.

A sample: `000123.jpg` (or .png, .webp), and `000123.txt` with the caption, or `000123.json` with it under a key.
"""

from typing import Literal

from unix_lib.config.strict import key
from unix_lib.sources.image_pairs.kind import CaptionColumn
from unix_lib.sources.in_place.settings import ImageRowSource, PlannedImages, PlannedRecords, kind_in_place


class SampleCaption(CaptionColumn):
    """Where the captions are, and which of several is taken."""

    caption_column: str = key("txt: the member that ends so; else a key of the sample's JSON", "txt")


class PlannedSampleImages(PlannedImages):
    """The job of one part's images."""

    reader_at = "unix_lib.sources.webdataset.rows:READER"


class PlannedSampleRecords(SampleCaption, PlannedRecords):
    """The job of one part's records."""

    reader_at = "unix_lib.sources.webdataset.rows:READER"


class WebDatasetSource(SampleCaption, ImageRowSource):
    """Images with captions in tar shards, read in place; a filter asks for keys of the samples' JSON."""

    kind: Literal["webdataset"]


KIND = kind_in_place(WebDatasetSource, PlannedSampleImages, PlannedSampleRecords)
