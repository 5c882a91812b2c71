"""The `image_folder` source: good images prepared as the paper's were, every bad sample set aside with its reason."""

import csv
import io
import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from unix_lib.sources.make import make_source

from tests.sources.making import make, source_job
from unix_lib.images.files import BadImage, check_header, fit, prepare, upright_rgb
from unix_lib.records.shards import read_split
from unix_lib.sources.errors import SourceError


def noise(width, height, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels, "RGB")


def png_that_claims(width, height):
    """A PNG of a few bytes whose header claims a size; it has no pixels at all."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def write_captions(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def good_folder(tmp_path, count=8):
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(count):
        noise(40, 30, index).save(folder / f"{index}.png")
    return folder, [{"image": f"{index}.png", "caption": f"caption {index}"} for index in range(count)]


def make_folder(tmp_path, folder, captions, **more):
    return make(
        tmp_path / "results",
        "mine",
        **{"kind": "image_folder", "folder": str(folder), "captions": str(captions), "image_size": 16} | more,
    )


def rejected_rows(made):
    return {row["sample_id"]: row for row in pq.read_table(made / "rejected.parquet").to_pylist()}


def all_rows(made):
    return read_split(made, "train").to_pylist() + read_split(made, "heldout").to_pylist()


def test_good_images_become_records(tmp_path):
    folder, rows = good_folder(tmp_path)
    write_captions(tmp_path / "captions.jsonl", rows)
    made, manifest = make_folder(tmp_path, folder, tmp_path / "captions.jsonl", heldout_share=0.25)
    assert manifest.rejected == {}
    assert (manifest.facts["train_records"], manifest.facts["heldout_records"]) == (6, 2)
    for row in all_rows(made):
        assert row["text"] == f"caption {row['sample_id'].removesuffix('.png')}"
        image = Image.open(io.BytesIO(row["image"]))
        assert (image.mode, image.size, image.format) == ("RGB", (16, 16), "PNG")
        assert (row["width"], row["height"], row["kind"], row["source"]) == (16, 16, "image_text", "mine")


def test_every_kind_of_bad_sample_is_set_aside_with_its_reason(tmp_path):
    folder, rows = good_folder(tmp_path)
    whole = (folder / "0.png").read_bytes()
    (folder / "corrupt.png").write_bytes(b"not an image at all")
    (folder / "empty.jpg").write_bytes(b"")
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    (folder / "flipped.png").write_bytes(bytes(flipped))
    noise(400, 300).save(folder / "big.jpg")
    (folder / "truncated.jpg").write_bytes((folder / "big.jpg").read_bytes()[:20_000])
    (folder / "truncated.png").write_bytes(whole[: len(whole) // 2])
    (folder / "big.jpg").unlink()
    (folder / "bomb.png").write_bytes(png_that_claims(60_000, 60_000))
    (folder / "large.png").write_bytes(png_that_claims(9_000, 9_000))
    noise(100, 30).save(folder / "wide.png")
    noise(30, 100).save(folder / "tall.png")
    noise(20, 20).save(folder / "alone.png")
    noise(20, 20).save(folder / "blank.png")
    noise(20, 20).save(tmp_path / "secret.png")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "notes.txt").write_text("no image")
    bad = ["corrupt.png", "empty.jpg", "flipped.png", "truncated.jpg", "truncated.png", "bomb.png", "large.png"]
    bad += ["wide.png", "tall.png", "absent.png", "../secret.png", str(tmp_path / "secret.png"), "link.png"]
    rows += [{"image": name, "caption": "words"} for name in bad]
    rows += [{"image": "blank.png", "caption": "  "}, {"image": "x" * 5000, "caption": "words"}]
    write_captions(tmp_path / "captions.jsonl", rows)
    with open(tmp_path / "captions.jsonl", "ab") as file:
        file.write(b'{"image": "0.png", "caption": \n\n[1]\n{"image": "0.png"}\n{"image": "0.png", "caption": 3}\n')
        file.write(b'{"image": "0.png", "caption": "\xff\xfe"}\n{"image": "0\\u0000.png", "caption": "words"}\n')
    made, manifest = make_folder(tmp_path, folder, tmp_path / "captions.jsonl")
    reasons = {name: row["reason"] for name, row in rejected_rows(made).items()}
    assert reasons["corrupt.png"] == reasons["empty.jpg"] == reasons["flipped.png"] == "corrupt image"
    assert reasons["truncated.jpg"] == reasons["truncated.png"] == "truncated image"
    assert reasons["bomb.png"] == reasons["large.png"] == "too many pixels"
    assert reasons["wide.png"] == reasons["tall.png"] == "aspect ratio"
    assert reasons["absent.png"] == reasons["x" * 5000] == "caption without image"
    assert reasons["../secret.png"] == reasons["link.png"] == "path outside the folder"
    assert reasons["alone.png"] == "image without caption"
    assert reasons["blank.png"] == "empty caption"
    assert manifest.rejected == {
        "aspect ratio": 2,
        "caption without image": 2,
        "corrupt image": 3,
        "empty caption": 1,
        "image without caption": 1,
        "malformed row": 6,
        "path outside the folder": 3,
        "too many pixels": 2,
        "truncated image": 2,
    }
    assert {row["sample_id"] for row in all_rows(made)} == {f"{index}.png" for index in range(8)}
    assert rejected_rows(made)["wide.png"]["origin"] == "captions.jsonl:16"


def test_an_image_bomb_is_judged_by_its_header(tmp_path):
    """A gigapixel image without a single pixel in it: decoding it would fail as corrupt, or not end."""
    for width, height in ((60_000, 60_000), (9_000, 9_000)):
        with pytest.raises(BadImage, match="too many pixels"):
            check_header(io.BytesIO(png_that_claims(width, height)), 50_000_000, 2.5)
    assert check_header(io.BytesIO(png_that_claims(5_000, 5_000)), 50_000_000, 2.5) == (5_000, 5_000)
    with pytest.raises(BadImage, match=r"truncated image|corrupt image"):
        prepare(io.BytesIO(png_that_claims(500, 500)), 16)


def test_the_limits_are_the_settings(tmp_path):
    folder, rows = good_folder(tmp_path)
    noise(60, 60).save(folder / "pixels.png")
    noise(60, 20).save(folder / "wide.png")
    rows += [{"image": name, "caption": "words"} for name in ("pixels.png", "wide.png")]
    write_captions(tmp_path / "captions.jsonl", rows)
    captions = tmp_path / "captions.jsonl"
    assert make_folder(tmp_path, folder, captions)[1].rejected == {"aspect ratio": 1}
    assert make_folder(tmp_path, folder, captions, max_aspect_ratio=3)[1].rejected == {}
    _, manifest = make_folder(tmp_path, folder, captions, max_aspect_ratio=3, max_pixels=1500)
    assert manifest.rejected == {"too many pixels": 1}


def test_an_image_with_an_unusable_row_is_not_counted_twice(tmp_path):
    folder, rows = good_folder(tmp_path)
    rows[0]["caption"] = ""
    rows[1] = {"image": "1.png"}
    write_captions(tmp_path / "captions.jsonl", rows)
    assert make_folder(tmp_path, folder, tmp_path / "captions.jsonl")[1].rejected == {
        "empty caption": 1,
        "malformed row": 1,
    }


def test_csv_captions(tmp_path):
    folder, rows = good_folder(tmp_path)
    captions = tmp_path / "captions.csv"
    with open(captions, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["caption", "image", "note"])
        writer.writerows(
            [[row["caption"] + ', with a comma and a "quote"\nand a line', row["image"], ""] for row in rows]
        )
        file.write("words, unquoted, comma,0.png,\n")
        file.write("only one field\n")
    made, manifest = make_folder(tmp_path, folder, captions)
    assert manifest.rejected == {"malformed row": 2}
    rows = all_rows(made)
    assert len(rows) == 8
    assert all(row["text"].endswith(', with a comma and a "quote"\nand a line') for row in rows)


def test_an_unclosed_quote_spoils_its_row_only(tmp_path):
    folder, rows = good_folder(tmp_path, 12)
    lines = [f"{row['image']},{row['caption']}" for row in rows]
    lines[1] = '1.png,"never closed'  # ... before the next row's quote
    lines[2] = '2.png,"caption 2"'
    lines[4] = '4.png,"closed by the quote at the end of the next row'
    lines[5] = '5.png,closes the quote above"'
    lines[7] = '7.png,"two\nlines, and 8.png beside it"'
    lines[10] = '10.png,"closed nowhere'
    (tmp_path / "captions.csv").write_text("image,caption\n" + "\n".join(lines) + "\n")
    made, manifest = make_folder(tmp_path, folder, tmp_path / "captions.csv")
    assert manifest.rejected == {"malformed row": 3}
    rejected = rejected_rows(made)
    assert set(rejected) == {"1.png", "4.png", "10.png"}
    assert rejected["4.png"]["detail"] == "a quote that is not closed before line 7, which has its own image"
    assert [rejected[name]["origin"] for name in ("1.png", "10.png")] == ["captions.csv:3", "captions.csv:13"]
    texts = {row["sample_id"]: row["text"] for row in all_rows(made)}
    assert (texts["2.png"], texts["11.png"]) == ("caption 2", "caption 11")
    assert texts["7.png"] == "two\nlines, and 8.png beside it"


def test_what_is_not_unicode_is_set_aside(tmp_path):
    folder, rows = good_folder(tmp_path)
    (folder / os.fsdecode(b"caf\xe9.png")).write_bytes((folder / "0.png").read_bytes())
    write_captions(tmp_path / "captions.jsonl", rows)  # ASCII, so that half a surrogate pair is written as its escape
    with open(tmp_path / "captions.jsonl", "a") as file:
        file.write('{"image": "0.png", "caption": "\\ud83d red"}\n{"image": "\\ud83d.png", "caption": "red"}\n')
    made, manifest = make_folder(tmp_path, folder, tmp_path / "captions.jsonl")
    assert manifest.rejected == {"image without caption": 1, "malformed row": 2}
    rejected = rejected_rows(made)
    assert set(rejected) == {"caf\\udce9.png", "0.png#2", "\\ud83d.png"}
    assert rejected["0.png#2"]["detail"] == "'caption' has half of a surrogate pair"
    assert len(all_rows(made)) == 8


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
        prepare(io.BytesIO(buffer.getvalue()), 16)


def test_several_captions_of_an_image_and_copies_of_it_stay_in_one_split(tmp_path):
    folder, rows = good_folder(tmp_path, 12)
    (folder / "sub").mkdir()
    for index in range(12):
        (folder / "sub" / f"copy-{index}.png").write_bytes((folder / f"{index}.png").read_bytes())
    rows += [{"image": f"{i}.png", "caption": "another"} for i in range(12)]
    rows += [{"image": f"sub/copy-{i}.png", "caption": "a copy"} for i in range(12)]
    write_captions(tmp_path / "captions.jsonl", rows)
    made, _ = make_folder(tmp_path, folder, tmp_path / "captions.jsonl", heldout_share=0.25)
    images = {split: {row["image"] for row in read_split(made, split).to_pylist()} for split in ("train", "heldout")}
    assert (len(images["train"]), len(images["heldout"])) == (9, 3)
    ids = [row["sample_id"] for row in all_rows(made)]
    assert len(ids) == len(set(ids)) == 36


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
        image = Image.open(io.BytesIO(prepare(io.BytesIO(buffer.getvalue()), 16)))
        assert (image.mode, image.size) == ("RGB", (16, 16))


def test_a_format_outside_the_list_is_not_decoded():
    buffer = io.BytesIO()
    noise(20, 20).save(buffer, format="PPM")
    with pytest.raises(BadImage, match="corrupt image"):
        prepare(io.BytesIO(buffer.getvalue()), 16)


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


def test_making_it_twice_gives_the_same_content(tmp_path):
    folder, rows = good_folder(tmp_path)
    (folder / "bad.png").write_bytes(b"bad")
    write_captions(tmp_path / "captions.jsonl", [*rows, {"image": "bad.png", "caption": "words"}])
    first = make_folder(tmp_path, folder, tmp_path / "captions.jsonl")[1]
    assert make_folder(tmp_path, folder, tmp_path / "captions.jsonl")[1].digest == first.digest


def test_an_empty_source_is_one_line_with_a_remedy(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "bad.png").write_bytes(b"bad")
    write_captions(tmp_path / "captions.jsonl", [{"image": "bad.png", "caption": "words"}])
    with pytest.raises(SourceError, match=r"sources\.mine: too few .* \(1 x corrupt image\); mend them") as error:
        make_folder(tmp_path, folder, tmp_path / "captions.jsonl")
    assert "\n" not in str(error.value)
    assert list(tmp_path.glob("results/sources/*/rejected.parquet"))
    assert not list(tmp_path.glob("results/sources/*/manifest.json"))


def test_missing_and_unreadable_inputs_are_named(tmp_path):
    folder, rows = good_folder(tmp_path)
    captions = tmp_path / "captions.jsonl"
    with pytest.raises(SourceError, match=r"captions.jsonl: no such caption file"):
        make_folder(tmp_path, folder, captions)
    write_captions(captions, rows)
    with pytest.raises(SourceError, match=r"nowhere: no such folder"):
        make_folder(tmp_path, tmp_path / "nowhere", captions)
    (tmp_path / "captions.txt").write_text("x")
    with pytest.raises(SourceError, match=r"ends in \.csv or \.jsonl"):
        make_folder(tmp_path, folder, tmp_path / "captions.txt")
    (tmp_path / "captions.csv").write_text("picture,caption\n0.png,words\n")
    with pytest.raises(SourceError, match=r"no column 'image' in the first line"):
        make_folder(tmp_path, folder, tmp_path / "captions.csv")


def test_paths_are_read_from_the_working_directory(tmp_path, monkeypatch):
    folder, rows = good_folder(tmp_path)
    write_captions(tmp_path / "captions.jsonl", rows)
    monkeypatch.chdir(tmp_path)
    job = source_job(
        Path("results"), "mine", kind="image_folder", folder=folder.name, captions="captions.jsonl", image_size=16
    )
    assert make_source(job).facts["train_records"] == 7
