"""No image is encoded again because something beside it changed: its codes are taken over from what was made before."""

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.artefacts.damage import damage
from tests.encode.making import encoded
from tests.sources.making import make
from tests.sources.row_files import LAYOUTS, config_of, picture
from unix_lib.artefacts.manifest import Manifest

ROWS = 24


def encode(results: Path, settings: dict[str, Any], **more: Any) -> Manifest:
    """Make a source and encode its images."""
    return encoded(results, make(results, "mine", held_out=0.3, **settings | more)["images"])[1]


def counts(manifest: Manifest) -> tuple[int, int]:
    """Images encoded and taken over."""
    metrics = manifest.provenance["metrics"]
    return metrics["images_encoded"], metrics["images_taken_over"]


def rewritten(path: Path, change: Any) -> None:
    rows = pq.read_table(path).to_pylist()
    pq.write_table(pa.Table.from_pylist(change(rows)), path, row_group_size=7)


def corrected(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows[5]["texts"][0]["assistant"] = "Something longer than before."
    return rows


def shuffled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows[3]["images"][0]["bytes"] = picture(99)
    return random.Random(1).sample(rows, len(rows))


@pytest.mark.parametrize(("change", "images_encoded"), [(corrected, 0), (shuffled, 1)])
def test_only_images_that_are_new_are_encoded(change: Any, images_encoded: int, tmp_path: Path) -> None:
    settings = config_of("finevision", tmp_path, ROWS)
    first = encode(tmp_path / "results", settings)
    assert counts(first) == (ROWS, 0)
    rewritten(tmp_path / LAYOUTS["finevision"].file, change)
    again = encode(tmp_path / "results", settings)
    assert again.artefact != first.artefact and counts(again) == (images_encoded, ROWS - images_encoded)
    undisturbed = encode(tmp_path / "others", settings)
    assert counts(undisturbed) == (ROWS, 0) and undisturbed.digest == again.digest


def test_other_pixels_have_other_codes(tmp_path: Path) -> None:
    settings = config_of("finevision", tmp_path, ROWS)
    encode(tmp_path / "results", settings)
    assert counts(encode(tmp_path / "results", settings, resize="stretch")) == (ROWS, 0)


@pytest.mark.parametrize("how", ["flipped", "missing"])
def test_damaged_codes_are_not_taken_over(how: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = config_of("finevision", tmp_path, ROWS)
    first = encode(tmp_path / "results", settings)
    damage(tmp_path / "results" / first.artefact / "train-00000.parquet", how)
    rewritten(tmp_path / LAYOUTS["finevision"].file, corrected)
    again = encode(tmp_path / "results", settings)
    assert counts(again) == (ROWS, 0) and "no codes taken over" in caplog.text
    assert again.digest == encode(tmp_path / "others", settings).digest


def test_an_image_may_come_from_the_part_beside(tmp_path: Path) -> None:
    settings, results = config_of("finevision", tmp_path, ROWS), tmp_path / "results"
    images = make(results, "mine", **settings)["images"]
    assert counts(encoded(results, images, "mine-0001")[1]) == (ROWS, 0)
    assert counts(encoded(results, images, "mine-0003")[1]) == (ROWS, 0)
    assert counts(encoded(results, images, "mine-0002")[1]) == (0, ROWS)
    assert counts(encoded(results, images, "mine")[1]) == (0, ROWS)
    assert counts(encoded(results, images, "mine-new")[1]) == (ROWS, 0)
