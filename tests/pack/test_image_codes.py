"""Codes are found by an image's id, each image's once, in every source's own artefacts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.records.making import write_splits
from unix_lib.config.tokenizers import VocabularySettings
from unix_lib.pack.image_codes import ABSENT, ImageCodes, write_codes
from unix_lib.records.schema import CODES
from unix_lib.tokenizers.vocabulary import build_vocabulary

VOCABULARY = build_vocabulary(
    {"<|endoftext|>": 0, "<|vision_start|>": 1, "<|vision_end|>": 2},
    VocabularySettings(codebook_size=16, codes_per_image=4, multiple=1, padded_text_vocabulary=None),
)
Reader = Callable[..., tuple[ImageCodes, np.ndarray]]


def name(number: int) -> str:
    return f"{number:032x}"


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    """Writes artefacts of codes and reads them, behind some rows of others."""

    def read_all(*artefacts: list[tuple[str, list[int]]], first_row: int = 0) -> tuple[ImageCodes, np.ndarray]:
        folders = []
        for number, rows in enumerate(artefacts):
            images = [{"image_id": image, "image_codes": codes} for image, codes in rows]
            folders.append(tmp_path / write_splits(tmp_path, f"encode/photos-{number:04d}", CODES, images))
        stored, known = [np.zeros((first_row, 4), np.uint16)], []
        for number, folder in enumerate(folders):
            known.append(tmp_path / f"known-{number}")
            known[-1].mkdir()
            write_codes(folder, "train", VOCABULARY, tmp_path / "codes.bin", known[-1])
            stored.append(np.fromfile(tmp_path / "codes.bin", np.uint16).reshape(-1, 4))
        return ImageCodes(known, first_row), np.concatenate(stored)

    return read_all


def test_an_image_is_found_whatever_the_order_of_the_ids(read: Reader) -> None:
    numbers = np.random.default_rng(0).permutation(3000).tolist()
    expected = {name(number): [number % 16, number // 16 % 16, 3, 0] for number in numbers}
    images, stored = read([(name(n), expected[name(n)]) for n in numbers[:1700]], first_row=5)
    assert (images.rows, len(stored)) == (1700, 1705)
    rows = images.rows_of([*map(name, sorted(numbers)), None, "no such image"]).tolist()
    assert rows[-2:] == [ABSENT, ABSENT]
    found = {name(n): row for n, row in zip(sorted(numbers), rows[:-2], strict=True) if row != ABSENT}
    assert found.keys() == {name(n) for n in numbers[:1700]}
    assert all(stored[row].tolist() == expected[image] for image, row in found.items())


def test_of_several_artefacts_the_first_that_has_an_image_counts(read: Reader) -> None:
    images, stored = read([(name(2), [1, 1, 1, 1])], [(name(1), [2, 2, 2, 2]), (name(2), [3, 3, 3, 3])])
    assert stored[images.rows_of([name(2), name(1)])].tolist() == [[1, 1, 1, 1], [2, 2, 2, 2]]


def test_codes_that_are_not_the_vocabularys_are_left_out_with_their_reason(read: Reader) -> None:
    given = [("a", [1, 2, 3, 4]), ("few", [1, 2]), ("high", [1, 2, 3, 16]), ("none", []), ("b", [5, 6, 7, 15])]
    images, stored = read(given)
    assert stored.tolist() == [[1, 2, 3, 4], [5, 6, 7, 15]]
    assert images.rows_of(["a", "few", "high", "none", "b"]).tolist() == [0, ABSENT, ABSENT, ABSENT, 1]
    assert images.fault_of("few") == ("wrong_code_count", "2 codes, an image has 4")
    assert images.fault_of("none") == ("wrong_code_count", "0 codes, an image has 4")
    assert images.fault_of("high") == ("code_out_of_range", "code 16, the codebook has 16")
    assert images.fault_of("other") == ("no_image_codes", "no codes of image other")


@pytest.mark.parametrize("artefacts", [[], [[]], [[("few", [1])]]])
def test_without_codes_every_image_is_absent(read: Reader, artefacts: list[list[tuple[str, list[int]]]]) -> None:
    images, stored = read(*artefacts)
    assert images.rows_of(["a", None]).tolist() == [ABSENT, ABSENT]
    assert len(stored) == images.rows == 0
