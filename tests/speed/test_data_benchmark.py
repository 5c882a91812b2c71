"""The benchmark of what brings data in: its contenders do the same work, and its command prints one table."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from unix_lib.__main__ import app
from unix_lib.images.files import square_rgb
from unix_lib.speed import data
from unix_lib.speed.data import PACK_LENGTH, SIDE, _greedy, _photograph, _plain


def test_plain_pillow_prepares_the_same_picture() -> None:
    photograph = _photograph(0)
    with Image.open(io.BytesIO(photograph)) as image:
        assert image.size == (1600, 1200)
    assert _plain(photograph) == square_rgb(io.BytesIO(photograph), SIDE)[0, 0, 0]


def test_the_greedy_cutter_fills_every_pack() -> None:
    lengths = np.random.default_rng(1).integers(1, 500, 10_000)
    assert _greedy(lengths) == lengths.sum() // PACK_LENGTH


def test_the_command_prints_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "TEXT_COPIES", 1)
    (tmp_path / "0.jpg").write_bytes(_photograph(0))
    small = ["--vocabulary", "400", "--documents", "1000", "--photographs", "2", "--megabytes", "1", "--rounds", "1"]
    small += ["--pictures", str(tmp_path)]
    finished = CliRunner().invoke(app, ["benchmark-data", *small])
    assert finished.exit_code == 0, finished.exception
    for wanted in (
        "samples/s",
        "tokenizer alone",
        "samples to packs",
        "planned/s",
        "images/s",
        "2 processes",
        "bf16",
        "mirrored",
        "MB/s",
        "cat",
    ):
        assert wanted in finished.stdout, wanted
