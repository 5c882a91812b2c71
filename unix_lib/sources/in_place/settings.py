"""What every kind of source has in its config whose samples lie in a user's files of rows."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from unix_lib.config.kinds import JobKind, imported
from unix_lib.config.outside import FilesIdentity, Outside
from unix_lib.config.row_files import PlannedRows, RowSource
from unix_lib.config.sources import SourceKind
from unix_lib.config.strict import StrictModel, key
from unix_lib.images.formats import Resize
from unix_lib.sources.screening.settings import HASHES, SCREENED_READS, SCREENING, ScreenedSource

if TYPE_CHECKING:
    from unix_lib.sources.in_place.samples import Reader

# PAPER: images of a larger aspect ratio are dropped.
MAX_ASPECT_RATIO = 2.5
BYTES_PER_IMAGE = 100_000  # ASSUME: of a photograph of 512 pixels a side in JPEG


class PixelSettings(StrictModel):
    """How an image gets to the tokenizer's size."""

    resize: Resize = key(
        "how an image becomes square: the centre of its short side (Lanczos), white bands beside it, or drawn out of "
        "shape",
        "crop",
    )
    draft: bool = key(
        "large JPEGs are decoded at a half, a quarter or an eighth of their size: twice as fast, and other pixels by 1 "
        "of 255 levels in the mean",
        False,
        sparse=True,
    )


class PreparedImages(PixelSettings):
    """Which images are taken, by their headers, and how they get to the tokenizer's size."""

    max_pixels: int = key("larger images are set aside unread, pixels by the header", 50_000_000, ge=1, le=10**12)
    max_aspect_ratio: float = key("images of a larger aspect ratio are set aside", MAX_ASPECT_RATIO, ge=1)


class PlannedSamples(PlannedRows):
    """A job that reads one part of such a source."""

    reader_at: ClassVar[str]  # "module:name" of the kind's `Reader`

    @property
    def reader(self) -> "Reader":
        """How the kind reads its rows."""
        reader: Reader = imported(self.reader_at)
        return reader


class PlannedImages(PlannedSamples, PreparedImages):
    """The job of one part's images."""

    def work(self) -> float:
        """Images, about."""
        assert self.identity is not None
        return self.identity.bytes / BYTES_PER_IMAGE


class PlannedRecords(PlannedSamples):
    """The job of one part's records."""


class ImageRowSource(PreparedImages, ScreenedSource, RowSource):
    """A source of rows that show images."""


def kind_in_place(
    settings: type[ImageRowSource], images: type[PlannedImages], records: type[PlannedRecords]
) -> SourceKind:
    """A kind of source whose jobs are those of all sources in place, with the kind's own reader."""
    return SourceKind(
        settings=settings,
        images=JobKind(images, "unix_lib.sources.in_place.images:make_images", 1),
        records=JobKind(records, "unix_lib.sources.in_place.records:make_records", 1),
        hashes=HASHES,
        screening=SCREENING,
        reads=SCREENED_READS,
        sharded=("images", "hashes", "records"),
    )


class InFolder(StrictModel):
    """Images that rows name, beside the rows."""

    image_folder: str | None = key("folder that names of image files begin at; null where images are in the rows", None)

    def folder_identity(self, outside: Outside, rows: FilesIdentity) -> FilesIdentity:
        """What the rows and the folder are together."""
        if self.image_folder is None:
            return rows
        images = outside.files([Path(self.image_folder)])
        both = hashlib.sha256(f"{rows.sha256}{images.sha256}".encode()).hexdigest()
        return FilesIdentity(count=rows.count + images.count, bytes=rows.bytes + images.bytes, sha256=both)
