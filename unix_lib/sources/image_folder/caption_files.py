"""Captions in files beside the images: `a/1.txt` has that of `a/1.jpg`, and of `a/1.png` where that is there too.

A file is a row, whatever stands in it; one without an image is a row whose image is missing.
"""

from collections.abc import Iterator
from pathlib import Path

from unix_lib.config.folders import files_below
from unix_lib.images.formats import EXTENSIONS
from unix_lib.records.lines import BadLine, fault_of, text_of
from unix_lib.sources.errors import SourceError
from unix_lib.sources.image_folder.captions import CaptionRow

SUFFIX = ".txt"
LONGEST = 1 << 20  # bytes: what is longer is no caption


def caption_files(folder: Path) -> list[Path]:
    """All of them below a folder."""
    return [path for path in files_below(folder) if path.suffix.lower() == SUFFIX]


def captions_beside(folder: Path, *, read: bool) -> Iterator[CaptionRow]:
    """A row for every image that has such a file, and for every such file without an image, in order.

    Args:
        read: whether captions are wanted; else there are none, and no file is opened.

    Raises:
        SourceError: a fault of the disk.
    """
    images: dict[Path, list[Path]] = {}
    texts = []
    for path in files_below(folder):
        if path.suffix.lower() in EXTENSIONS:
            images.setdefault(path.with_suffix(""), []).append(path)
        elif path.suffix.lower() == SUFFIX:
            texts.append(path)
    for path in texts:
        caption, fault = _caption(path) if read else (None, None)
        stem = path.with_suffix("")
        for image in images.get(stem, [stem]):
            names = (each.relative_to(folder).as_posix() for each in (path, image))
            yield CaptionRow(next(names), 1, next(names), caption, fault)


def images_alone(folder: Path) -> Iterator[CaptionRow]:
    """A row without a caption for every image below a folder, in order."""
    for path in files_below(folder):
        if path.suffix.lower() in EXTENSIONS:
            name = path.relative_to(folder).as_posix()
            yield CaptionRow(name, 1, name, None)


def _caption(path: Path) -> tuple[str, str | None]:
    """What stands in a file, and why it can't be used."""
    try:
        with open(path, "rb") as file:
            data = file.read(LONGEST + 1)
        text = text_of(data.removeprefix(b"\xef\xbb\xbf")).strip()
    except BadLine:
        return "", "not UTF-8"
    except PermissionError:
        return "", "may not be read"
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror} while it was being read; run again") from None
    fault = f"longer than {LONGEST} bytes" if len(data) > LONGEST else fault_of(text)
    return (text, None) if fault is None else ("", fault)
