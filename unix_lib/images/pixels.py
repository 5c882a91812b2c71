"""Turns pictures into tensors and back: 8-bit RGB on one side, float32 in [-1, 1] on the other.

No resizing here: a source stores its images at the tokenizer's size. The way back rounds to the nearest of 256 levels,
so picture -> tensor -> picture is exact.
"""

import io

import numpy as np
import torch
from PIL import Image

from unix_lib.images.files import DECODING_ERRORS, BadImage, read_image, upright_rgb
from unix_lib.images.formats import FORMATS

HALF_RANGE = 127.5


def rgb_from_image(image: Image.Image) -> np.ndarray:
    """Any PIL image as uint8 (3, S, S), transparency blended on white."""
    return np.ascontiguousarray(np.asarray(upright_rgb(image), dtype=np.uint8).transpose(2, 0, 1))


def rgb_from_bytes(data: bytes | None, image_size: int) -> np.ndarray:
    """Decode stored PNG or JPEG bytes to uint8 (3, S, S); the size is read from the header before any decoding.

    Raises:
        BadImage: no bytes, not an image, truncated, or not `image_size` pixels square.
    """
    if not data:
        raise BadImage("no image", "there are no image bytes")
    try:
        pixels, size = read_image(
            io.BytesIO(data),
            lambda image: (rgb_from_image(image) if image.size == (image_size, image_size) else None, image.size),
        )
    except Image.DecompressionBombError as error:
        raise BadImage("wrong image size", "more pixels by its header than Pillow opens") from error
    except (BadImage, *DECODING_ERRORS) as error:
        raise BadImage("unreadable image", f"can't be decoded as any of {', '.join(FORMATS)}") from error
    if pixels is None:
        raise BadImage("wrong image size", f"{size[0]}x{size[1]}, expected {image_size}x{image_size}")
    return pixels


def pixels_from_rgb(rgb: np.ndarray) -> torch.Tensor:
    """uint8 (..., 3, S, S) to float32 in [-1, 1], same shape."""
    return pixels_from_levels(torch.from_numpy(rgb))


def pixels_from_levels(levels: torch.Tensor) -> torch.Tensor:
    """uint8 (..., 3, S, S) to float32 in [-1, 1], same shape, where they are."""
    return levels.to(torch.float32) / HALF_RANGE - 1.0


def image_from_pixels(pixels: torch.Tensor) -> Image.Image:
    """float32 (3, S, S), values clamped to [-1, 1], as an RGB PIL image."""
    levels = (pixels.detach().to("cpu", torch.float32).clamp(-1.0, 1.0) + 1.0) * HALF_RANGE
    return Image.fromarray(levels.round().to(torch.uint8).permute(1, 2, 0).numpy(), "RGB")
