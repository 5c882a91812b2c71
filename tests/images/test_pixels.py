"""Pictures to tensors and back, exactly, and stored bytes that are no usable image."""

import numpy as np
import pytest
import torch
from PIL import Image

from tests.images.pictures import png
from unix_lib.images.files import BadImage
from unix_lib.images.pixels import image_from_pixels, pixels_from_rgb, rgb_from_bytes, rgb_from_image


def test_picture_to_tensor_to_picture_is_exact_for_all_levels() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    picture = Image.fromarray(np.stack([levels, levels[::-1], levels.T], -1))
    pixels = pixels_from_rgb(rgb_from_image(picture))
    assert (pixels.dtype, tuple(pixels.shape)) == (torch.float32, (3, 16, 16))
    assert (float(pixels.min()), float(pixels.max())) == (-1.0, 1.0)
    assert float(pixels[0, 0, 1]) == pytest.approx(2 / 255 - 1)
    assert np.array_equal(np.asarray(image_from_pixels(pixels)), np.asarray(picture))


def test_pixels_outside_the_range_are_clamped() -> None:
    picture = image_from_pixels(torch.tensor([-3.0, 0.0, 3.0])[:, None, None].expand(3, 2, 2))
    assert np.asarray(picture)[0, 0].tolist() == [0, 128, 255]


def test_transparency_is_blended_on_white() -> None:
    picture = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    assert torch.equal(pixels_from_rgb(rgb_from_image(picture)), torch.ones(3, 4, 4))
    picture = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    assert float(pixels_from_rgb(rgb_from_image(picture))[0, 0, 0]) == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "LA"])
def test_other_modes_become_rgb(mode: str) -> None:
    assert pixels_from_rgb(rgb_from_image(Image.new(mode, (4, 4)))).shape == (3, 4, 4)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, "no image"),
        (b"", "no image"),
        (b"not an image", "unreadable image"),
        (png(np.random.default_rng(0).integers(0, 256, (3, 8, 8), np.uint8))[:150], "unreadable image"),
        (png(np.zeros((3, 8, 6), np.uint8)), "wrong image size"),
    ],
)
def test_unusable_bytes_have_a_fixed_reason(data: bytes | None, reason: str) -> None:
    with pytest.raises(BadImage) as error:
        rgb_from_bytes(data, 8)
    assert error.value.reason == reason
