"""The `digits` source: all scans, once, with their names."""

import io

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.sources.making import make
from unix_lib.records.shards import read_split
from unix_lib.sources.digits import NAMES, enlarge

NUMBERS = dict(zip(NAMES, range(10), strict=True))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("results"), "digits", kind="digits", image_size=32)


def test_every_scan_is_in_one_split_with_its_name(made):
    folder, manifest = made
    data = load_digits()
    seen = []
    for split, rows in (("train", 1617), ("heldout", 180)):
        table = read_split(folder, split).to_pylist()
        assert len(table) == rows == manifest.facts[f"{split}_records"]
        for row in table:
            index = int(row["sample_id"])
            assert NUMBERS[row["text"].removeprefix("a photo of the digit ")] == data.target[index]
            seen.append(index)
    assert sorted(seen) == list(range(1797))


def test_both_splits_have_every_digit(made):
    for split in ("train", "heldout"):
        assert len(set(read_split(made[0], split, ["text"])["text"].to_pylist())) == 10


def test_images_are_the_scans_dark_on_white(made):
    data = load_digits()
    for row in read_split(made[0], "train").to_pylist()[:40]:
        image = Image.open(io.BytesIO(row["image"]))
        assert (image.mode, image.size) == ("RGB", (32, 32)) == ("RGB", (row["width"], row["height"]))
        coarse = np.asarray(image.convert("L")).reshape(8, 4, 8, 4).mean(axis=(1, 3))
        ink = data.images[int(row["sample_id"])]
        assert np.corrcoef(255 - coarse.ravel(), ink.ravel())[0, 1] > 0.95


def test_a_blank_scan_is_white_and_a_full_one_black():
    assert np.asarray(enlarge(np.zeros((8, 8)), 64)).min() == 255
    assert np.asarray(enlarge(np.full((8, 8), 16), 64)).max() == 0


def test_making_it_twice_gives_the_same_content(made, tmp_path):
    assert make(tmp_path, "digits", kind="digits", image_size=32)[1].digest == made[1].digest
