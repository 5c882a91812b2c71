"""Images for tests: noise, a header that lies, and PNG bytes."""

import struct
import zlib

import numpy as np
from PIL import Image

from unix_lib.images.files import png_bytes


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels, "RGB")


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims a size; it has no pixels at all."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def png(rgb: np.ndarray) -> bytes:
    """uint8 (3, S, S) as PNG bytes."""
    return png_bytes(rgb.transpose(1, 2, 0))
