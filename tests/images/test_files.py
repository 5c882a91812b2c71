"""One image file to a square RGB array: every mode and format, and every reason why not."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from tests.images.pictures import noise, png_that_claims
from unix_lib.images.files import BadImage, check_header, fit, image_id, image_row, png_bytes, square_rgb, upright_rgb


def test_an_image_bomb_is_judged_by_its_header():
    """A gigapixel image without a single pixel in it: decoding it would fail as corrupt, or not end."""
    for width, height in ((60_000, 60_000), (9_000, 9_000)):
        with pytest.raises(BadImage, match="too many pixels"):
            check_header(io.BytesIO(png_that_claims(width, height)), 50_000_000, 2.5)
    assert check_header(io.BytesIO(png_that_claims(5_000, 5_000)), 50_000_000, 2.5) == (5_000, 5_000)
    with pytest.raises(BadImage, match=r"truncated image|corrupt image"):
        square_rgb(io.BytesIO(png_that_claims(500, 500)), 16)


def test_damaged_exif_is_a_corrupt_image():
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera's maker"
    text = struct.pack(">HHI", 0x010F, 2, 17)
    data = exif.tobytes()
    assert data.count(text) == 1
    data = data.replace(text, struct.pack(">HHI", 0x010F, 5, 1))  # the maker's name becomes a fraction
    buffer = io.BytesIO()
    noise(40, 20).save(buffer, format="PNG", exif=data)
    with pytest.raises(BadImage, match="corrupt image: damaged EXIF"):
        square_rgb(io.BytesIO(buffer.getvalue()), 16)


def test_turned_by_exif():
    image = Image.new("RGB", (40, 20), "white")
    image.paste((255, 0, 0), (0, 0, 20, 20))  # left half red
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated 90 degrees clockwise
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", exif=exif)
    pixels = np.asarray(upright_rgb(Image.open(io.BytesIO(buffer.getvalue()))))
    assert pixels.shape == (40, 20, 3)
    assert (pixels[:20] == (255, 0, 0)).all() and (pixels[20:] == 255).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_blended_on_white(mode):
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 4, 8))
    if mode == "P":
        image = Image.new("P", (8, 8), 1)
        image.putpalette([0, 0, 0, 10, 10, 10])
        image.info["transparency"] = 1
        image.paste(0, (0, 0, 4, 8))
    else:
        image = image.convert(mode)
    pixels = np.asarray(upright_rgb(image))
    assert (pixels[:, 4:] == 255).all() and (pixels[:, :4] == 0).all()


def test_half_transparent_is_half_white():
    pixels = np.asarray(upright_rgb(Image.new("RGBA", (2, 2), (200, 0, 100, 128))))
    assert np.abs(pixels.astype(int) - np.array([227, 127, 177])).max() <= 1


def test_sixteen_bits_keep_their_shades():
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    pixels = np.asarray(upright_rgb(Image.fromarray(ramp)))
    assert pixels.shape == (8, 8, 3)
    assert np.abs(pixels[..., 0].astype(float) - ramp / 257).max() <= 1


def test_other_modes_and_formats_decode():
    for mode, file_format in (
        ("L", "PNG"),
        ("1", "PNG"),
        ("CMYK", "JPEG"),
        ("RGB", "WEBP"),
        ("P", "GIF"),
        ("L", "TIFF"),
    ):
        buffer = io.BytesIO()
        noise(20, 20).convert(mode).save(buffer, format=file_format)
        rgb = square_rgb(io.BytesIO(buffer.getvalue()), 16)
        assert (rgb.dtype, rgb.shape) == (np.uint8, (16, 16, 3))


def test_a_format_outside_the_list_is_not_decoded():
    buffer = io.BytesIO()
    noise(20, 20).save(buffer, format="PPM")
    with pytest.raises(BadImage, match="corrupt image"):
        square_rgb(io.BytesIO(buffer.getvalue()), 16)


@pytest.mark.parametrize("size", [(40, 30), (30, 40), (16, 16), (17, 16), (8, 20)])
def test_fit_keeps_the_middle(size):
    """The short side becomes 16; the crop's left and right borders are cut alike."""
    width, height = size
    columns = np.tile(np.linspace(0, 255, width)[None, :, None], (height, 1, 3)).astype(np.uint8)
    pixels = np.asarray(fit(Image.fromarray(columns), 16)).astype(float)
    assert pixels.shape == (16, 16, 3)
    assert abs(pixels.mean() - 127.5) < 10
    left, right = pixels[:, 0].mean(), 255 - pixels[:, -1].mean()
    assert abs(left - right) < 20
    span = min(1.0, height / width) * 255
    assert pixels[0, -1, 0] - pixels[0, 0, 0] == pytest.approx(span, abs=35)


def test_an_image_keeps_its_id_and_its_pixels_in_png():
    rgb = np.asarray(noise(20, 10))
    row = image_row(rgb)
    assert (row["width"], row["height"]) == (20, 10)
    assert row["image"] == png_bytes(rgb)
    stored = np.asarray(Image.open(io.BytesIO(row["image"])))
    assert np.array_equal(stored, rgb)
    assert row["image_id"] == image_id(stored)


def test_an_id_is_of_the_shape_and_of_every_pixel():
    rgb = np.asarray(noise(4, 2))
    other = rgb.copy()
    other[1, 3, 2] ^= 1
    assert len({image_id(rgb), image_id(other), image_id(rgb.reshape(4, 2, 3))}) == 3
    assert image_id(rgb) == image_id(np.asfortranarray(rgb))
    assert len(image_id(rgb)) == 32
