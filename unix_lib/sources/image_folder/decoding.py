"""Checks and decodes a user's image files, a window of them at a time."""

import itertools
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from unix_lib.config.file_hashes import UNREADABLE
from unix_lib.images.files import BadImage, check_header, image_row, square_rgb
from unix_lib.records.rejected import RejectedSamples
from unix_lib.records.schema import Row
from unix_lib.sources.errors import SourceError

UNREADABLE_FILE = "unreadable file"
WINDOW = 256  # images in memory at a time

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageFile:
    """A file, and those that are copies of it."""

    path: Path
    content: str  # SHA-256 of the file, hexadecimal, or `UNREADABLE`
    names: list[str]  # below the folder, of the file and of its copies

    def set_aside(self, fault: BadImage, rejected: RejectedSamples) -> None:
        """Set all of them aside.

        Raises:
            SourceError: the fault is of the disk, not of the image, and the file could be read before.
        """
        cause = fault.__cause__
        if isinstance(cause, OSError) and cause.errno is not None and self.content != UNREADABLE:
            raise SourceError(f"{self.path}: {cause.strerror} while it was being read; run again")
        for name in self.names:
            rejected.add(name, name, fault.reason, fault.detail, cause=cause)


def with_good_headers(
    files: Sequence[ImageFile], max_pixels: int, max_aspect_ratio: float, rejected: RejectedSamples
) -> list[ImageFile]:
    """Files that may be decoded; the others are set aside, with their copies."""
    good = []
    for file in files:
        try:
            if file.content == UNREADABLE:
                raise BadImage(UNREADABLE_FILE, "no access, or a fault of the disk")
            check_header(file.path, max_pixels, max_aspect_ratio)
        except BadImage as fault:
            file.set_aside(fault, rejected)
        else:
            good.append(file)
    return good


def decoded(
    files: Sequence[ImageFile], image_size: int, threads: int, rejected: RejectedSamples
) -> Iterator[tuple[ImageFile, Row]]:
    """Files with their rows of `IMAGE`, in order; those that can't be decoded are set aside, with their copies."""

    def one(file: ImageFile) -> Row | BadImage:
        try:
            return image_row(square_rgb(file.path, image_size))
        except BadImage as fault:
            return fault

    done, waiting = 0, iter(files)
    with ThreadPoolExecutor(threads) as pool:  # Pillow works without holding the interpreter's lock
        while window := list(itertools.islice(waiting, WINDOW)):
            for file, result in zip(window, pool.map(one, window), strict=True):
                if isinstance(result, BadImage):
                    file.set_aside(result, rejected)
                else:
                    yield file, result
            done += len(window)
            _log.info("%d of %d images", done, len(files))
