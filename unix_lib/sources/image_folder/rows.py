"""Decides which rows of a caption file can become records, and which image file each of them names.

The plan and both jobs ask here, so that all three speak of the same files. An image may be a link to anywhere, or lie
below one, as data are that DVC manages; a name may not leave the folder by itself (`../`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from unix_lib.config.folders import is_folder, is_regular
from unix_lib.sources.errors import SourceError
from unix_lib.sources.image_folder.captions import CaptionRow, read_captions

MALFORMED = "malformed row"
OUTSIDE = "path outside the folder"
MISSING = "caption without image"
EMPTY_CAPTION = "empty caption"


@dataclass(frozen=True)
class JudgedRow:
    """A row and the image file that it names; `reason` says why it can't be used."""

    row: CaptionRow
    path: Path  # of the image, see `file_named`
    reason: str | None = None  # short and fixed
    detail: str | None = None


def judged_rows(captions: Path, folder: Path) -> Iterator[JudgedRow]:
    """Every row of a caption file, in order, judged by all but the pixels of its image.

    Raises:
        SourceError: no such folder, or a caption file that can't be read at all.
    """
    if not is_folder(folder):
        raise SourceError(f"{folder}: no such folder; set 'folder' to where the images are")
    root = folder.resolve()
    for row in read_captions(captions, root):
        path = file_named(row.image, root)
        if row.fault is not None:
            yield JudgedRow(row, path, MALFORMED, row.fault)
        elif not path.is_relative_to(root):
            yield JudgedRow(row, path, OUTSIDE, row.image)
        elif not is_regular(path):
            yield JudgedRow(row, path, MISSING, f"no file {row.image or '(empty name)'} in the folder")
        elif not row.caption:
            yield JudgedRow(row, path, EMPTY_CAPTION)
        else:
            yield JudgedRow(row, path)


def named_images(captions: Path, folder: Path) -> list[Path]:
    """Image files that usable rows name, each once, in the order of the rows: paths that begin with the folder's.

    There are none where the folder or the caption file is missing or of no known form, which the jobs then say: a plan
    can be looked at before the data are there.
    """
    root = folder.resolve()
    try:
        usable = [judged.path for judged in judged_rows(captions, folder) if judged.reason is None]
    except SourceError:
        return []
    return [folder / path.relative_to(root) for path in dict.fromkeys(usable)]


def file_named(name: str, root: Path) -> Path:
    """The file that a name below a folder means: one path for one file of the folder, however rows write it.

    Links within the folder are followed; what lies elsewhere and is linked to is called by its name in the folder.

    Args:
        root: the folder, links followed.
    """
    path = root / name
    try:
        real = path.resolve()
    except (OSError, RuntimeError, ValueError):  # a loop of links, a name that no file can have
        return path
    return real if real.is_relative_to(root) or ".." in PurePath(name).parts else path
