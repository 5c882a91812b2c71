"""Decides which rows of a caption file can become records, and which image file each of them names.

The plan and both jobs ask here, so that all three speak of the same files.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from unix_lib.sources.errors import SourceError
from unix_lib.sources.image_folder.captions import CaptionRow, is_file, read_captions

MALFORMED = "malformed row"
OUTSIDE = "path outside the folder"
MISSING = "caption without image"
EMPTY_CAPTION = "empty caption"


@dataclass(frozen=True)
class JudgedRow:
    """A row and the image file that it names; `reason` says why it can't be used."""

    row: CaptionRow
    path: Path  # of the image, links followed: one path for one file, however rows write it
    reason: str | None = None  # short and fixed
    detail: str | None = None


def judged_rows(captions: Path, folder: Path) -> Iterator[JudgedRow]:
    """Every row of a caption file, in order, judged by all but the pixels of its image.

    Raises:
        SourceError: no such folder, or a caption file that can't be read at all.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such folder; set 'folder' to where the images are")
    root = folder.resolve()
    for row in read_captions(captions, root):
        path = _resolved(root / row.image)
        if row.fault is not None:
            yield JudgedRow(row, path, MALFORMED, row.fault)
        elif not path.is_relative_to(root):
            yield JudgedRow(row, path, OUTSIDE, row.image)
        elif not is_file(path):
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


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):  # a loop of links, a name that no file can have
        return path.absolute()
