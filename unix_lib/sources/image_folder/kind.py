"""The kind of source `image_folder`: a user's own images, with captions in a table or in files beside them, or none."""

from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from unix_lib.config.folders import in_sentences
from unix_lib.config.kinds import JobKind
from unix_lib.config.needs import Need
from unix_lib.config.outside import FilesIdentity, Outside, ReadsOutside
from unix_lib.config.sources import PlannedPart, SourceKind, nth_part
from unix_lib.config.strict import StrictModel, key
from unix_lib.sources.image_folder.caption_files import caption_files
from unix_lib.sources.image_folder.rows import named_images
from unix_lib.sources.screening.settings import HASHES, SCREENED_READS, SCREENING, ScreenedSource

# PAPER: images of a larger aspect ratio are dropped.
MAX_ASPECT_RATIO = 2.5


class FolderPaths(StrictModel):
    """Where the images and their captions are."""

    folder: str = key("folder of the images, relative to the project's root or absolute", min_length=1)
    captions: str | None = key(
        "table (.jsonl, .json, .csv, .tsv, .parquet) with one `image` (path below the folder) and `caption` per row; "
        "null reads `.txt` files beside the images",
        None,
        min_length=1,
    )
    captioned: bool = key("false takes every image below the folder as it is, without a caption", True, sparse=True)
    limit: int | None = key("rows that are read, the first ones; null reads all", None, ge=1, le=10**12, sparse=True)

    @model_validator(mode="after")
    def _captions_are_wanted(self) -> Self:
        if self.captions is not None and not self.captioned:
            raise ValueError("'captions' names a table and 'captioned: false' asks for none; remove one of them")
        return self

    def captions_below(self, root: Path) -> Path | None:
        """The table of captions; None where they lie beside the images."""
        return None if self.captions is None else root / self.captions


class FolderImages(FolderPaths):
    """What decides the pixels."""

    image_size: int = key(
        "images are resized (short side, Lanczos) and centre-cropped to this side, pixels", 512, ge=16, le=8192
    )
    max_pixels: int = key("larger images are set aside unread, pixels by the header", 50_000_000, ge=1, le=10**12)
    max_aspect_ratio: float = key("images of a larger aspect ratio are set aside", MAX_ASPECT_RATIO, ge=1)
    shard_images: int = key(
        "images that a job prepares and encodes: the larger, the fewer jobs", 50_000, ge=1, le=1_000_000_000
    )

    def image_shards(self, outside: Outside) -> list[list[str]]:
        """Image files that the captions name, part by part, in the order of the rows, at least one part.

        So a row behind all others changes the last part or adds one, and no part before it.
        """
        captions, folder = self.captions_below(outside.root), outside.root / self.folder
        asked = (captions, folder, self.limit, self.captioned)
        named = outside.once(asked, lambda: named_images(*asked))
        return [named[first : first + self.shard_images] for first in range(0, len(named), self.shard_images)] or [[]]


class PlannedFolderImages(FolderImages, PlannedPart):
    """The job of one part of the images."""

    named_by = "folder"

    @property
    def sets_aside(self) -> bool:
        return True

    def part(self, outside: Outside) -> list[str]:
        """Paths of the part's image files."""
        return nth_part(self.image_shards(outside), self.shard)

    def identify(self, outside: Outside) -> FilesIdentity:
        return outside.files(self.part(outside))

    def work(self) -> float:
        """Images."""
        assert self.identity is not None
        return self.identity.count


class PlannedFolderRecords(FolderPaths, ReadsOutside):
    """The records' job: also what the caption file is."""

    named_by = "captions"

    @property
    def sets_aside(self) -> bool:
        return self.captions is None and self.captioned

    def identify(self, outside: Outside) -> FilesIdentity:
        if self.captions is not None:
            return outside.files([self.captions])
        if not self.captioned:
            return outside.files([])  # all that the records say is in the images' artefacts
        return outside.files(outside.once(self.folder, lambda: caption_files(outside.root / self.folder)))

    def named(self) -> str:
        return super().named() if self.captions is not None else f"captions in {self.folder}"


class ImageFolderSource(FolderImages, ScreenedSource):
    """A user's own images; captions stand in a table (`image`, `caption`), in `.txt` files beside them, or nowhere."""

    kind: Literal["image_folder"]

    def sampled(self, count: int, outside: Outside) -> "list[ImageFolderSource]":
        return [self.model_copy(update={"limit": min(count, self.limit or count)})]

    def shards(self, outside: Outside) -> int:
        return len(self.image_shards(outside))

    def has_captions(self) -> bool:
        return self.captioned

    def needs(self, name: str) -> list[Need]:
        paths = filter(None, (self.folder, self.captions))
        return [Need(f"source {name}: {path}", local=Path(path)) for path in paths]

    def described(self) -> str:
        return f"images of {in_sentences(self.folder)}"


KIND = SourceKind(
    settings=ImageFolderSource,
    images=JobKind(PlannedFolderImages, "unix_lib.sources.image_folder.make:make_images", 2),
    records=JobKind(PlannedFolderRecords, "unix_lib.sources.image_folder.make:make_records", 3),
    hashes=HASHES,
    screening=SCREENING,
    reads=SCREENED_READS,
    sharded=("images", "hashes"),
)
