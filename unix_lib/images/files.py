"""One image file, or its bytes, to a square RGB array, or the reason why not.

Preparation as the paper's data were prepared: upright by EXIF, transparency blended on white, short side resized with
Lanczos, centre crop. Size and aspect ratio are judged by the header, before a pixel is decoded: a file of a few
kilobytes can claim gigabytes. Pillow's own words on a fault are its `__cause__`, for a log.
"""

import hashlib
import io
import struct
import warnings
import zlib
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

# Only formats whose decoders are plain and common: a stranger's file must not choose the decoder.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"})

CORRUPT = "corrupt image"
TRUNCATED = "truncated image"
TOO_MANY_PIXELS = "too many pixels"
ASPECT_RATIO = "aspect ratio"

# How whole files of some formats begin and end, the rest of a camera's notes behind them aside.
ENDS = {b"\x89PNG\r\n\x1a\n": b"IEND", b"\xff\xd8\xff": b"\xff\xd9", b"GIF8": b";"}
LONGEST_REST = 64  # bytes

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
        BadImage: unreadable header, too many pixels, or too long a shape.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit decides
            with _open(file) as image:
                width, height = image.size
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


def square_rgb(file: Path | io.BytesIO, image_size: int) -> np.ndarray:
    """The image as uint8 (image_size, image_size, 3), RGB. Check the header first.

    Raises:
        BadImage: the pixels can't be decoded.
    """
    try:
        with _open(file) as image:
            image.load()
            return np.asarray(fit(upright_rgb(image), image_size))
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


def upright_rgb(image: Image.Image) -> Image.Image:
    """Turn by EXIF, blend transparency on white, convert to RGB.

    Raises:
        BadImage: damaged EXIF; pixels raise what is in `DECODING_ERRORS`.
    """
    try:
        image = ImageOps.exif_transpose(image)
    except AttributeError as error:  # Pillow writes the tags back, each as the type that the damaged file says
        raise BadImage(CORRUPT, "damaged EXIF") from error
    if image.mode.startswith("I"):  # 16 bits a pixel; Pillow's own conversion clips instead of scaling
        image = Image.fromarray((np.asarray(image).clip(0, 65535) / 257).round().astype(np.uint8), "L")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (*WHITE, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def fit(image: Image.Image, image_size: int) -> Image.Image:
    """Resize the short side to `image_size` (Lanczos), then crop the centre."""
    scale = image_size / min(image.size)
    width, height = (max(image_size, round(side * scale)) for side in image.size)
    resized = image.resize((width, height), Image.Resampling.LANCZOS)
    left, top = (width - image_size) // 2, (height - image_size) // 2
    return resized.crop((left, top, left + image_size, top + image_size))


def _open(file: Path | io.BytesIO) -> Image.Image:
    return Image.open(file, formats=FORMATS)


def _undecodable(file: Path | io.BytesIO, detail: str) -> BadImage:
    """A fault of a file that can't be decoded: whether it is cut off is read from its own first and last bytes."""
    try:
        with open(file, "rb") if isinstance(file, Path) else nullcontext(file) as stream:
            stream.seek(0)
            begins = stream.read(LONGEST_REST)
            stream.seek(-min(LONGEST_REST, stream.seek(0, io.SEEK_END)), io.SEEK_END)
            rest = stream.read()
    except OSError:
        return BadImage(CORRUPT, "can't be read")
    cut = any(begins.startswith(begin) and end not in rest for begin, end in ENDS.items())
    return BadImage(TRUNCATED, "its end is missing") if cut else BadImage(CORRUPT, detail)
