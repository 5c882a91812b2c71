"""Decides which rows of a caption file can become records, and which image file each of them names.

The plan and both jobs ask here, so that all three speak of the same files. An image may be a link to anywhere, or lie
below one, as data are that DVC manages; a name may not leave the folder by itself (`../`).
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path, PurePath

from unix_lib.config.folders import is_folder, is_regular
from unix_lib.sources.errors import SourceError
from unix_lib.sources.image_folder.caption_files import captions_beside, images_alone
from unix_lib.sources.image_folder.captions import CaptionRow, read_captions

MALFORMED = "malformed row"
OUTSIDE = "path outside the folder"
MISSING = "caption without image"
EMPTY_CAPTION = "empty caption"


@dataclass(frozen=True)
class JudgedRow:
    """A row and the image file that it names; `reason` says why it can't be used."""

    row: CaptionRow
    file: str  # path of the image, see `Naming.file`
    reason: str | None = None  # short and fixed
    detail: str | None = None


def judged_rows(
    captions: Path | None, folder: Path, limit: int | None = None, *, captioned: bool = True, read: bool = True
) -> Iterator[JudgedRow]:
    """The rows of captions, in order, judged by all but the pixels of their images; at most `limit` of them.

    Args:
        captions: the table that they are in; None where they are in files beside the images.
        captioned: false takes every image below the folder, and no captions.
        read: whether such files are opened and judged.

    Raises:
        SourceError: no such folder, or a caption file that can't be read at all.
    """
    if not is_folder(folder):
        raise SourceError(f"{folder}: no such folder; set 'folder' to where the images are")
    naming = Naming(folder)
    if not captioned:
        rows = images_alone(naming.root)
    elif captions is None:
        rows = captions_beside(naming.root, read=read)
    else:
        rows = read_captions(captions, naming.root)
    for row in islice(rows, limit):
        file, regular = naming.file(row.image)
        if row.fault is not None:
            yield JudgedRow(row, file, MALFORMED, row.fault)
        elif not file.startswith(naming.prefix):
            yield JudgedRow(row, file, OUTSIDE, row.image)
        elif not regular:
            yield JudgedRow(row, file, MISSING, f"no file {row.image or '(empty name)'} in the folder")
        elif row.caption == "":
            yield JudgedRow(row, file, EMPTY_CAPTION)
        else:
            yield JudgedRow(row, file)


def named_images(captions: Path | None, folder: Path, limit: int | None = None, captioned: bool = True) -> list[str]:
    """Image files that usable rows name, each once, in the order of the rows: paths that begin with the folder's.

    An image beside which a file with its caption lies is one of them, whatever stands in the file: there may be
    millions.

    There are none where the folder or the caption file is missing or of no known form, which the jobs then say: a plan
    can be looked at before the data are there.
    """
    begins, cut = Naming(folder).prefix, f"{folder}/".replace("//", "/")
    try:
        rows = judged_rows(captions, folder, limit, captioned=captioned, read=False)
        usable = dict.fromkeys(judged.file for judged in rows if judged.reason is None)
    except SourceError:
        return []
    return [cut + file[len(begins) :] for file in usable]


class Naming:
    """The file that a name below a folder means: one path for one file of the folder, however rows write it.

    Links within the folder are followed; what lies elsewhere and is linked to is called by its name in the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder.resolve()
        self.prefix = f"{self.root}/".replace("//", "/")  # what paths of files in it begin with
        self._inside = cache(self._folder_inside)

    def file(self, name: str) -> tuple[str, bool]:
        """The file's path, and whether it is one that ends, so no pipe, socket or device."""
        parent, _, own = name.rpartition("/")
        if not name.startswith("/") and (inside := self._inside(parent)) is not None:
            path = inside + own
            try:
                if stat.S_ISREG(os.lstat(path).st_mode):
                    return path, True  # no link, in a folder that is none: nothing is left to follow
            except (OSError, ValueError):
                pass
        followed = self._followed(name)
        return str(followed), is_regular(followed)

    def _followed(self, name: str) -> Path:
        path = self.root / name
        try:
            real = path.resolve()
        except (OSError, RuntimeError, ValueError):  # a loop of links, a name that no file can have
            return path
        return real if real.is_relative_to(self.root) or ".." in PurePath(name).parts else path

    def _folder_inside(self, name: str) -> str | None:
        """A folder's own path, links followed, with a slash behind it; None where it is not in the root."""
        try:
            real = (self.root / name).resolve()
        except (OSError, RuntimeError, ValueError):
            return None
        return f"{real}/".replace("//", "/") if real.is_relative_to(self.root) else None
