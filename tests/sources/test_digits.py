"""The `digits` source: all scans, once, with their names."""

import io

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.sources.making import make
from unix_lib.config.sources import HeldOut
from unix_lib.images.files import image_id
from unix_lib.records.schema import IMAGE, RECORD
from unix_lib.records.shards import read_split
from unix_lib.sources.digits.make import NAMES, enlarge

NUMBERS = dict(zip(NAMES, range(10), strict=True))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("results"), "digits", held_out=0.1, kind="digits", image_size=32)


def test_every_scan_is_in_one_split_with_its_name(made):
    folder, manifest = made["records"].folder, made["records"].manifest
    data = load_digits()
    seen = []
    rule = HeldOut(share=0.1)
    for split in ("train", "heldout"):
        assert read_split(folder, split).schema.equals(RECORD)
        table = read_split(folder, split).to_pylist()
        assert len(table) == manifest.facts[f"{split}_records"]
        assert all(rule.holds_out(row["image_ids"][0]) == (split == "heldout") for row in table)
        for row in table:
            index = int(row["sample_id"])
            assert NUMBERS[row["text"].removeprefix("a photo of the digit ")] == data.target[index]
            seen.append(index)
    assert sorted(seen) == list(range(1797))


def test_both_splits_have_every_digit(made):
    for split in ("train", "heldout"):
        assert len(set(read_split(made["records"].folder, split, ["text"])["text"].to_pylist())) == 10


def test_images_are_the_scans_dark_on_white(made):
    data = load_digits()
    assert read_split(made["images"].folder, "train").schema.equals(IMAGE)
    images = {row["image_id"]: row for row in read_split(made["images"].folder, "train").to_pylist()}
    for record in read_split(made["records"].folder, "train").to_pylist()[:40]:
        row = images[record["image_ids"][0]]
        image = Image.open(io.BytesIO(row["image"]))
        assert [image_id(np.asarray(image))] == record["image_ids"]
        assert (image.mode, image.size) == ("RGB", (32, 32)) == ("RGB", (row["width"], row["height"]))
        coarse = np.asarray(image.convert("L")).reshape(8, 4, 8, 4).mean(axis=(1, 3))
        ink = data.images[int(record["sample_id"])]
        assert np.corrcoef(255 - coarse.ravel(), ink.ravel())[0, 1] > 0.95


def test_a_blank_scan_is_white_and_a_full_one_black():
    assert np.asarray(enlarge(np.zeros((8, 8)), 64)).min() == 255
    assert np.asarray(enlarge(np.full((8, 8), 16), 64)).max() == 0


def test_making_it_twice_gives_the_same_content(made, tmp_path):
    again = make(tmp_path, "digits", held_out=0.1, kind="digits", image_size=32)
    assert {what: made[what].manifest.digest for what in made} == {what: again[what].manifest.digest for what in again}


def test_each_different_image_of_a_split_is_there_once_in_the_order_of_the_records(made):
    for split in ("train", "heldout"):
        shown = read_split(made["records"].folder, split)["image_ids"].combine_chunks().flatten().to_pylist()
        images = read_split(made["images"].folder, split)["image_id"].to_pylist()
        assert images == list(dict.fromkeys(shown))
        assert len(images) == made["images"].manifest.facts[f"{split}_images"]
