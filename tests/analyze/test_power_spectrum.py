"""Power over frequency: of waves by hand, of photographs, and of sources behind their codes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.analyze.test_reconstructions import TOKENIZER, encoded, write_tokenizer
from tests.jobs.making import make_job
from tests.tokenizers.small import blocks, stored, write_images
from unix_lib.analyze.power_spectrum import REDUCTIONS, photographs, pieces, radial_power
from unix_lib.analyze.power_spectrum_kind import PowerSpectrumSettings


@pytest.mark.parametrize("cycles", [3, 7])
def test_a_wave_has_its_power_at_its_frequency(cycles: int) -> None:
    wave = 128 + 100 * np.sin(2 * np.pi * cycles * np.arange(32) / 32)
    images = np.broadcast_to(wave[None, None, :, None], (1, 32, 32, 3)).astype(np.uint8)
    power = radial_power(images)
    assert power.argmax() + 1 == cycles
    assert power.sum() == pytest.approx(1)


def test_images_without_contrast_have_no_power() -> None:
    assert radial_power(np.full((2, 32, 32, 3), 90, np.uint8)).sum() == pytest.approx(0)


def test_a_photograph_is_cut_without_gaps_and_reduced_by_means() -> None:
    photograph = np.zeros((70, 64, 3), np.uint8)
    photograph[:, ::2] = 100
    cut = list(pieces(photograph, 8))
    assert len(cut) == sum((70 // f // 8) * (64 // f // 8) for f in REDUCTIONS)
    assert all((piece == 50).all() for piece in cut)


def test_power_of_the_shipped_photographs_falls_like_that_of_nature() -> None:
    for _, photograph in photographs():
        power = radial_power(np.stack(list(pieces(photograph, 32))))
        cycles = np.arange(2, 13)
        assert -3.5 < np.polyfit(np.log(cycles), np.log(power[1:12]), 1)[0] < -1.5


def test_sources_stand_beside_photographs(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    images = write_images(tmp_path, "scenes", stored(blocks(8)), stored(blocks(40)[8:]))
    codes = encoded(tmp_path, "scenes", images)
    inputs: dict[str, str | list[str]] = {
        "image_tokenizer": TOKENIZER,
        "images:scenes": [images],
        "codes:scenes": [codes],
    }
    job = make_job(tmp_path, "analyze", "power_spectrum", "power_spectrum", PowerSpectrumSettings(images=6), inputs)
    job.make()
    table = pd.read_parquet(job.folder / "power_spectrum.parquet")
    assert dict(table.groupby("source").photograph.first()) == {"scenes": False, "china": True, "flower": True}
    assert (table[table.source == "scenes"].images == 6).all()
    size = table.frequency.max()
    assert (table.groupby("source").frequency.nunique() == size).all()
    assert table.groupby("source").power.sum().to_list() == pytest.approx([1.0, 1.0, 1.0])
