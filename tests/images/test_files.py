"""One image file to a square RGB array: every mode and format, and every reason why not."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from PIL.JpegImagePlugin import JpegImageFile

from tests.images.pictures import noise, png_that_claims
from unix_lib.images.files import BadImage, check_header, fit, image_id, image_row, png_bytes, square_rgb, upright_rgb
from unix_lib.images.formats import FORMATS, Resize


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


def saved(image, file_format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **options)
    return io.BytesIO(buffer.getvalue())


@pytest.mark.parametrize("file_format", ["PPM", "AVIF", "JPEG2000", "ICO", "DDS"])
def test_a_format_outside_the_list_is_called_unsupported(file_format):
    assert not {"AVIF", "PPM"} & set(FORMATS)
    try:
        data = saved(noise(32, 32), file_format)
    except (KeyError, OSError):
        pytest.skip(f"this Pillow writes no {file_format}")
    for read in (lambda: check_header(data, 10**6, 2.5), lambda: square_rgb(data, 16)):
        with pytest.raises(BadImage, match=r"^unsupported image: .*; convert it to one of PNG, JPEG"):
            read()


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1", b"msf1", b"avif", b"isom"])
def test_a_telephones_pictures_are_called_unsupported(brand):
    data = io.BytesIO(struct.pack(">I", 24) + b"ftyp" + brand + b"\0\0\0\0mif1heic" + bytes(200))
    with pytest.raises(BadImage, match=r"unsupported image: (HEIC|AVIF|ISO media); convert it"):
        check_header(data, 10**6, 2.5)


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_png_with_more_metadata_than_pillow_reads_is_decoded(behind, compressed):
    image, texts = noise(20, 20), PngImagePlugin.PngInfo()
    for number in range(1 if compressed else 70):
        texts.add_text(f"key{number}", "x" * (3 if compressed else 1) * 2**20, zip=compressed)
    if not compressed and behind:
        pytest.skip("counted before the pixels only")
    data = saved(image, "PNG", pnginfo=texts).getvalue()
    if behind:  # texts may stand behind the pixels, where only decoding meets them
        begin = data.index(b"zTXt") - 4
        end = begin + 12 + int.from_bytes(data[begin : begin + 4])
        data = data[:begin] + data[end:-12] + data[begin:end] + data[-12:]
    with pytest.raises(ValueError, match=r"too large|Too much memory"):
        Image.open(io.BytesIO(data)).load()
    assert check_header(io.BytesIO(data), 10**6, 2.5) == (20, 20)
    assert np.array_equal(square_rgb(io.BytesIO(data), 20), np.asarray(image))


def test_a_damaged_png_with_large_metadata_is_corrupt():
    texts = PngImagePlugin.PngInfo()
    texts.add_text("key", "x" * 3 * 2**20, zip=True)
    data = saved(noise(20, 20), "PNG", pnginfo=texts).getvalue()
    for damaged in (data[:-200], data.replace(b"IDAT", b"IDAX")):
        with pytest.raises(BadImage, match=r"(truncated|corrupt) image"):
            square_rgb(io.BytesIO(damaged), 16)


@pytest.mark.parametrize(
    "pixels",
    [
        np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8),
        np.linspace(0, 10_000, 64, dtype=np.float32).reshape(8, 8),
        np.linspace(0, 2**31 - 1, 64).astype(np.int32).reshape(8, 8),
    ],
)
def test_shades_whose_white_is_not_known_are_set_aside(pixels):
    data = saved(Image.fromarray(pixels), "TIFF")
    with pytest.raises(BadImage, match=r"^unsupported image: pixels of mode [FI], whose white is not known"):
        square_rgb(data, 8)


@pytest.mark.parametrize("white_is_zero", [False, True])
def test_a_tiff_of_sixteen_bits_keeps_its_shades(white_is_zero):
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    data = saved(Image.fromarray(ramp), "TIFF", tiffinfo={262: 0 if white_is_zero else 1})
    pixels = square_rgb(data, 8)[..., 0].astype(float)
    assert np.abs((255 - pixels if white_is_zero else pixels) - ramp / 257).max() <= 1


def test_a_tiff_of_unknown_pixels_is_unsupported_and_a_damaged_one_corrupt():
    whole = saved(noise(20, 20), "TIFF").getvalue()
    assert whole.count(struct.pack("<HHH", 8, 8, 8)) == 1
    data = whole.replace(struct.pack("<HHH", 8, 8, 8), struct.pack("<HHH", 32, 32, 32))
    with pytest.raises(BadImage, match=r"^unsupported image: a TIFF of pixels of another kind; convert it"):
        check_header(io.BytesIO(data), 10**6, 2.5)
    with pytest.raises(BadImage, match=r"^corrupt image"):
        check_header(io.BytesIO(whole[:8]), 10**6, 2.5)


def test_a_tiff_of_twelve_bits_is_not_black():
    """Pillow writes none, so one of sixteen bits is relabelled: 8 x 8 values of 12 bits fill 96 of its 128 bytes."""
    ramp = np.linspace(0, 4095, 64).astype(np.uint16).reshape(8, 8)
    pairs = ramp.reshape(-1, 2).astype(int)
    packed = np.stack([pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], axis=1)
    whole = saved(Image.fromarray(np.full((8, 8), 0x4142, dtype=np.uint16)), "TIFF").getvalue()
    entry = struct.pack("<HHIHH", 258, 3, 1, 16, 0)
    assert whole.count(entry) == 1 and whole.count(b"\x42\x41" * 64) == 1
    data = whole.replace(entry, struct.pack("<HHIHH", 258, 3, 1, 12, 0))
    data = data.replace(b"\x42\x41" * 64, packed.astype(np.uint8).tobytes() + bytes(32))
    pixels = square_rgb(io.BytesIO(data), 8)[..., 0].astype(float)
    assert np.abs(pixels - ramp / 4095 * 255).max() <= 1


def test_the_transparent_shade_of_sixteen_bits_is_white():
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    whole = saved(Image.fromarray(ramp), "PNG").getvalue()
    chunk = b"tRNS" + struct.pack(">H", int(ramp[0, 1]))
    place = whole.index(b"IDAT") - 4
    data = whole[:place] + struct.pack(">I", 2) + chunk + struct.pack(">I", zlib.crc32(chunk)) + whole[place:]
    pixels = square_rgb(io.BytesIO(data), 8)[..., 0]
    assert (pixels[0, 0], pixels[0, 1], pixels[0, 2]) == (0, 255, 8)


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


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
def test_a_large_jpeg_drafted_is_nearly_the_same_picture(resize: Resize, monkeypatch: pytest.MonkeyPatch) -> None:
    photograph = noise(25, 20).resize((1000, 800), Image.Resampling.BICUBIC)
    data, decoded = io.BytesIO(), list[tuple[int, int]]()
    photograph.save(data, format="JPEG", quality=90)
    load = JpegImageFile.load
    monkeypatch.setattr(JpegImageFile, "load", lambda image: (decoded.append(image.size), load(image))[1])
    whole, drafted = (square_rgb(data, 200, resize, draft=draft) for draft in (False, True))
    assert decoded[0] == (1000, 800) and decoded[-1] in {(250, 200), (500, 400)}
    assert min(decoded[-1]) >= 200 or resize == "pad"
    assert 0 < np.abs(whole.astype(int) - drafted).mean() < 2
