"""The kind of source `image_folder`: a user's own images with captions in a JSONL or CSV file."""

from pathlib import Path
from typing import Literal

from unix_lib.config.kinds import JobKind
from unix_lib.config.needs import Need
from unix_lib.config.outside import FilesIdentity, Outside
from unix_lib.config.sources import SourceKind, SourceSettings
from unix_lib.config.strict import Model, StrictModel, key
from unix_lib.sources.image_folder.rows import named_images

# PAPER: images of a larger aspect ratio are dropped.
MAX_ASPECT_RATIO = 2.5


class FolderPaths(StrictModel):
    """Where the images and their captions are."""

    folder: str = key("folder of the images, relative to the project's root or absolute")
    captions: str = key("JSONL or CSV file with one `image` (path below the folder) and `caption` per row")


class FolderImages(FolderPaths):
    """What decides the pixels and the split."""

    image_size: int = key(
        "images are resized (short side, Lanczos) and centre-cropped to this side, pixels", 512, ge=16
    )
    heldout_share: float = key("share of the images held out", 0.05, gt=0, lt=1)
    max_pixels: int = key("larger images are set aside unread, pixels by the header", 50_000_000, ge=1)
    max_aspect_ratio: float = key("images of a larger aspect ratio are set aside", MAX_ASPECT_RATIO, ge=1)
    seed: int = key("seed of the held-out split", 218)


class PlannedFolderImages(FolderImages):
    """The images' job: also what the named image files are."""

    identity: FilesIdentity = key("the image files that the captions name")


class PlannedFolderRecords(FolderPaths):
    """The records' job: also what the caption file is."""

    identity: FilesIdentity = key("the caption file")


class ImageFolderSource(FolderImages, SourceSettings):
    """A user's own images with captions in a JSONL or CSV file (columns `image`, `caption`)."""

    kind: Literal["image_folder"]

    def settings_of(self, model: type[Model], outside: Outside) -> Model:
        captions, folder = outside.root / self.captions, outside.root / self.folder
        paths = named_images(captions, folder) if model is PlannedFolderImages else [captions]
        return self.narrowed(model, identity=outside.files(paths))

    def needs(self, name: str) -> list[Need]:
        return [Need(f"source {name}: {path}", local=Path(path)) for path in (self.folder, self.captions)]

    def described(self) -> str:
        return f"images of {self.folder}"


KIND = SourceKind(
    settings=ImageFolderSource,
    images=JobKind(PlannedFolderImages, "unix_lib.sources.image_folder.make:make_images", 1),
    records=JobKind(PlannedFolderRecords, "unix_lib.sources.image_folder.make:make_records", 2),
    reads={"records": ("images",)},
)
