"""One image file, or its bytes, to a square RGB array, or the reason why not.

Preparation as the paper's data were prepared: upright by EXIF, transparency blended on white, short side resized with
Lanczos, centre crop. Size and aspect ratio are judged by the header, before a pixel is decoded: a file of a few
kilobytes can claim gigabytes. Pillow's own words on a fault are its `__cause__`, for a log.
"""

import hashlib
import io
import math
import struct
import warnings
import zlib
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin

from unix_lib.images.formats import FORMATS, LONGEST_REST, Resize, format_not_read, is_cut_off, without_texts

Result = TypeVar("Result")

CORRUPT = "corrupt image"
UNSUPPORTED = "unsupported image"
TRUNCATED = "truncated image"
TOO_MANY_PIXELS = "too many pixels"
ASPECT_RATIO = "aspect ratio"

# Modes of 8 bits a value at most. Floats and 32-bit numbers are not among them: what is white is not said in the file.
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
BITS_PER_SAMPLE, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339  # tags of TIFF
WHITE_IS_ZERO, UNSIGNED = 0, 1

# What Pillow's decoders raise on a stranger's bytes; not everything, so that a fault in this code is no bad image.
DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    LookupError,
    OverflowError,
    struct.error,
    zlib.error,
)

# ASSUME: where no config sets limits, no image is larger or longer. The short side is resized before the crop, so a
# line of pixels would grow beyond memory.
MAX_PIXELS = 50_000_000
MAX_ASPECT_RATIO = 100.0

WHITE = (255, 255, 255)


class BadImage(Exception):
    """An image that is set aside: `reason` is fixed, `detail` is not; both repeat, whatever the library's version."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


def image_id(rgb: np.ndarray) -> str:
    """What an image is called wherever it comes from: 128 bits of SHA-256 over its shape and pixels, hexadecimal.

    Args:
        rgb: uint8 (height, width, 3), as it is stored.
    """
    digest = hashlib.sha256(f"{rgb.shape[1]}x{rgb.shape[0]}".encode())
    digest.update(np.ascontiguousarray(rgb).tobytes())
    return digest.hexdigest()[:32]


def check_header(file: Path | io.BytesIO, max_pixels: int, max_aspect_ratio: float) -> tuple[int, int]:
    """Width and height in pixels as the header has them; nothing is decoded.

    Raises:
        BadImage: unreadable header, a format that is not read, too many pixels, or too long a shape.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit decides
            width, height = read_image(file, lambda image: image.size)
    except Image.DecompressionBombError as error:
        raise BadImage(TOO_MANY_PIXELS, "more pixels by its header than Pillow opens") from error
    except DECODING_ERRORS as error:
        raise _undecodable(file, f"no header of {', '.join(FORMATS)}") from error
    if width * height > max_pixels:
        raise BadImage(TOO_MANY_PIXELS, f"{width} x {height} pixels by its header, more than {max_pixels}")
    if width < 1 or height < 1:
        raise BadImage(CORRUPT, f"{width} x {height} pixels by its header")
    ratio = max(width, height) / min(width, height)
    if ratio > max_aspect_ratio:
        raise BadImage(ASPECT_RATIO, f"{width} x {height} pixels, ratio {ratio:.2f} above {max_aspect_ratio}")
    return width, height


def square_rgb(file: Path | io.BytesIO, image_size: int, resize: Resize = "crop", *, draft: bool = False) -> np.ndarray:
    """The image as uint8 (image_size, image_size, 3), RGB. Check the header first.

    Args:
        draft: decode a JPEG at a half, a quarter or an eighth of its size where that is no smaller than what is made.

    Raises:
        BadImage: the pixels can't be decoded, or are of a kind whose brightness is not known.
    """

    def square(image: Image.Image) -> np.ndarray:
        if draft and resize != "stretch":
            scale = image_size / (max if resize == "pad" else min)(image.size)
            image.draft(None, (math.ceil(image.width * scale), math.ceil(image.height * scale)))
        elif draft:
            image.draft(None, (image_size, image_size))
        return np.asarray(fit(upright_rgb(image), image_size, resize))

    try:
        return read_image(file, square)
    except DECODING_ERRORS as error:
        raise _undecodable(file, "its pixels can't be decoded") from error


def rgb_of(file: Path | io.BytesIO) -> np.ndarray:
    """The image as uint8 (height, width, 3), RGB, upright, in its own size.

    Raises:
        BadImage: what `check_header` refuses, or pixels that can't be decoded.
    """
    check_header(file, MAX_PIXELS, MAX_ASPECT_RATIO)
    try:
        return read_image(file, lambda image: np.asarray(upright_rgb(image)))
    except DECODING_ERRORS as error:
        raise _undecodable(file, "its pixels can't be decoded") from error


def png_bytes(rgb: np.ndarray) -> bytes:
    """PNG of uint8 (height, width, 3), RGB."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, format="PNG")
    return buffer.getvalue()


def image_row(rgb: np.ndarray) -> dict[str, Any]:
    """A row of `IMAGE` of uint8 (height, width, 3), RGB."""
    height, width = rgb.shape[:2]
    return {"image_id": image_id(rgb), "image": png_bytes(rgb), "width": width, "height": height}


def read_image(file: Path | io.BytesIO, work: Callable[[Image.Image], Result]) -> Result:
    """What `work` makes of the opened image. A PNG with more metadata than Pillow reads is read without them.

    Raises:
        BadImage: from `work`. Files that can't be decoded raise what is in `DECODING_ERRORS`.
    """
    try:
        with Image.open(file, formats=FORMATS) as image:
            return work(image)
    except ValueError:
        bare = without_texts(file.read_bytes() if isinstance(file, Path) else file.getvalue())
        if bare is None:
            raise
    with Image.open(io.BytesIO(bare), formats=FORMATS) as image:
        return work(image)


def upright_rgb(image: Image.Image) -> Image.Image:
    """Turn by EXIF, blend transparency on white, convert to RGB.

    Raises:
        BadImage: damaged EXIF, or a mode that is not read; pixels raise what is in `DECODING_ERRORS`.
    """
    image.load()
    tags = getattr(image, "tag_v2", {})  # of TIFF
    if image.mode not in (*MODES, *SIXTEEN_BITS) or set(tags.get(SAMPLE_FORMAT, ())) - {UNSIGNED}:
        raise BadImage(UNSUPPORTED, f"pixels of mode {image.mode}, whose white is not known; make 8 or 16 bits of them")
    bits, negative = tags.get(BITS_PER_SAMPLE, (16,))[0], tags.get(PHOTOMETRIC) == WHITE_IS_ZERO
    try:
        image = ImageOps.exif_transpose(image)
    except AttributeError as error:  # Pillow writes the tags back, each as the type that the damaged file says
        raise BadImage(CORRUPT, "damaged EXIF") from error
    if image.mode in SIXTEEN_BITS:  # Pillow's own conversion clips instead of scaling, and keeps a negative
        stored = np.asarray(image)
        shades = (stored / ((2**bits - 1) / 255)).round().astype(np.uint8)
        shades = 255 - shades if negative else shades
        shades[stored == image.info.get("transparency", -1)] = 255  # of PNG: the one value that is transparent
        image = Image.fromarray(shades, "L")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (*WHITE, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def fit(image: Image.Image, image_size: int, resize: Resize = "crop") -> Image.Image:
    """A square of `image_size` (Lanczos): the short side fits and the centre stays, the long side fits and white bands
    fill the rest, or both sides fit, out of shape."""
    if resize == "stretch":
        return image.resize((image_size, image_size), Image.Resampling.LANCZOS)
    if resize == "pad":
        scale = image_size / max(image.size)
        width, height = (max(1, round(side * scale)) for side in image.size)
        square = Image.new("RGB", (image_size, image_size), WHITE)
        resized = image.resize((width, height), Image.Resampling.LANCZOS)
        square.paste(resized, ((image_size - width) // 2, (image_size - height) // 2))
        return square
    scale = image_size / min(image.size)
    width, height = (max(image_size, round(side * scale)) for side in image.size)
    resized = image.resize((width, height), Image.Resampling.LANCZOS)
    left, top = (width - image_size) // 2, (height - image_size) // 2
    return resized.crop((left, top, left + image_size, top + image_size))


def _undecodable(file: Path | io.BytesIO, detail: str) -> BadImage:
    """A fault of a file that can't be decoded; what it is, and whether it is cut off, is read from its own bytes."""
    try:
        with open(file, "rb") if isinstance(file, Path) else nullcontext(file) as stream:
            stream.seek(0)
            begins = stream.read(LONGEST_REST)
            stream.seek(-min(LONGEST_REST, stream.seek(0, io.SEEK_END)), io.SEEK_END)
            rest = stream.read()
            other = format_not_read(begins) or _tiff_not_read(stream)
    except OSError:
        return BadImage(CORRUPT, "can't be read")
    if other is not None:
        return BadImage(UNSUPPORTED, f"{other}; convert it to one of {', '.join(FORMATS)}")
    return BadImage(TRUNCATED, "its end is missing") if is_cut_off(begins, rest) else BadImage(CORRUPT, detail)


def _tiff_not_read(stream: IO[bytes]) -> str | None:
    """What a TIFF is whose directory is whole but whose kind of pixels Pillow doesn't know."""
    try:
        with Image.open(stream, formats=["TIFF"]):
            return None
    except DECODING_ERRORS:
        stream.seek(0)
    try:
        directory = TiffImagePlugin.ImageFileDirectory_v2(stream.read(8))
        stream.seek(directory.next)
        directory.load(stream)
    except DECODING_ERRORS:
        return None
    return "a TIFF of pixels of another kind" if {BITS_PER_SAMPLE, PHOTOMETRIC} <= directory.keys() else None
