"""The kind of source `image_folder`: a user's own images with captions in a JSONL or CSV file."""

from pathlib import Path
from typing import Any, Literal

from unix_lib.config.kinds import JobKind
from unix_lib.config.needs import Need
from unix_lib.config.outside import FilesIdentity, Outside
from unix_lib.config.sources import PlannedPart, SourceKind, SourcePlanning, SourceSettings
from unix_lib.config.strict import Model, StrictModel, key
from unix_lib.sources.image_folder.rows import named_images

# PAPER: images of a larger aspect ratio are dropped.
MAX_ASPECT_RATIO = 2.5


class FolderPaths(StrictModel):
    """Where the images and their captions are."""

    folder: str = key("folder of the images, relative to the project's root or absolute", min_length=1)
    captions: str = key(
        "JSONL or CSV file with one `image` (path below the folder) and `caption` per row", min_length=1
    )


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

    def image_shards(self, root: Path) -> list[list[Path]]:
        """Image files that the captions name, part by part, in the order of the rows, at least one part.

        So a row behind all others changes the last part or adds one, and no part before it.
        """
        named = named_images(root / self.captions, root / self.folder)
        return [named[first : first + self.shard_images] for first in range(0, len(named), self.shard_images)] or [[]]


class PlannedFolderImages(FolderImages, PlannedPart):
    """The job of one part of the images."""

    def work(self) -> float:
        """Images."""
        return self.identity.count


class PlannedFolderRecords(FolderPaths):
    """The records' job: also what the caption file is."""

    identity: FilesIdentity = key("the caption file")


class ImageFolderSource(FolderImages, SourceSettings):
    """A user's own images with captions in a JSONL or CSV file (columns `image`, `caption`)."""

    kind: Literal["image_folder"]

    def settings_of(self, model: type[Model], planning: SourcePlanning, **others: Any) -> Model:
        outside = planning.outside
        paths = [Path(self.captions)]
        if model is PlannedFolderImages:
            paths = self.image_shards(outside.root)[planning.shard]
        return super().settings_of(model, planning, identity=outside.files(paths), **others)

    def shards(self, outside: Outside) -> int:
        return len(self.image_shards(outside.root))

    def needs(self, name: str) -> list[Need]:
        return [Need(f"source {name}: {path}", local=Path(path)) for path in (self.folder, self.captions)]

    def described(self) -> str:
        return f"images of {self.folder}"


KIND = SourceKind(
    settings=ImageFolderSource,
    images=JobKind(PlannedFolderImages, "unix_lib.sources.image_folder.make:make_images", 2),
    records=JobKind(PlannedFolderRecords, "unix_lib.sources.image_folder.make:make_records", 2),
    reads={"records": ("images",)},
    sharded=("images",),
)
