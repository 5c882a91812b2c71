"""Originals beside reconstructions: of stored images and of images in place, and what is said without them."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.jobs.making import make_job
from tests.records.making import write_splits
from tests.tokenizers.small import SHAPE, blocks, stored, write_images
from unix_lib.analyze.reconstructions_kind import ReconstructionsSettings
from unix_lib.artefacts.manifest import Manifest, write_manifest
from unix_lib.config.encode import EncodeSettings
from unix_lib.config.sources import HeldOut, SourcePlanning
from unix_lib.pack.sampled import PARTS, sampled_rows, some_parts
from unix_lib.records.schema import CODES
from unix_lib.sources.finevision.kind import KIND as FINEVISION
from unix_lib.tokenizers.image import save_image_tokenizer
from unix_lib.tokenizers.vqgan import VQGAN, vqgan_config

TOKENIZER = "tokenizers/image-000000000000"
FOLDER = "analyze/reconstructions"


def write_tokenizer(results: Path, *, decoder: bool = True) -> None:
    model = VQGAN(vqgan_config(SHAPE), with_decoder=decoder)
    model.initialize_afresh(2)
    write_manifest(results / TOKENIZER, "0" * 64, save_image_tokenizer(model, results / TOKENIZER))


def encoded(results: Path, source: str, images: str) -> str:
    """The codes of an artefact of images."""
    inputs: dict[str, str | list[str]] = {"images": images, "image_tokenizer": TOKENIZER}
    job = make_job(results, "encode", source, "codes", EncodeSettings(), inputs)
    job.make()
    return str(job.recipe.artefact)


def measured(
    results: Path, images: dict[str, list[str]], codes: dict[str, list[str]], **settings: int
) -> tuple[Manifest, pd.DataFrame, pd.DataFrame]:
    inputs: dict[str, str | list[str]] = {"image_tokenizer": TOKENIZER}
    for source, of_source in codes.items():
        inputs |= {f"images:{source}": images[source], f"codes:{source}": of_source}
    given = ReconstructionsSettings(**{"images": 6, "shown": 2} | settings)
    job = make_job(results, "analyze", "reconstructions", "reconstructions", given, inputs)
    manifest = job.make()
    tables = (pd.read_parquet(job.folder / f"{name}.parquet") for name in ("reconstructions", "codebook"))
    return manifest, *tables


def test_psnr_is_that_of_the_pictures_shown_and_codes_are_counted(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    images = write_images(tmp_path, "scenes", stored(blocks(8)), stored(blocks(40)[8:]))
    manifest, rows, used = measured(tmp_path, {"scenes": [images]}, {"scenes": [encoded(tmp_path, "scenes", images)]})
    assert manifest.facts == {"decoder": True}
    assert (set(rows.split), len(rows)) == ({"heldout"}, 6)
    heldout = dict(stored(blocks(40)[8:]))
    for row in rows[rows.original.notna()].itertuples():
        original, reconstruction = (
            np.asarray(Image.open(io.BytesIO(data))).astype(float) for data in (row.original, row.reconstruction)
        )
        assert (original == np.asarray(Image.open(io.BytesIO(heldout[row.image_id])))).all()
        assert row.psnr_db == pytest.approx(10 * np.log10(255**2 / np.square(original - reconstruction).mean()))
    assert rows.original.notna().sum() == 2
    codes = pq.read_table(next((tmp_path / "encode").glob("scenes-*/heldout-*.parquet")))["image_codes"].to_pylist()
    shares = np.unique(codes, return_counts=True)[1] / np.size(codes)
    (of_scenes,) = used.to_dict("records")
    assert (of_scenes["images"], of_scenes["codes_used"]) == (len(heldout), len(shares))
    assert of_scenes["code_perplexity"] == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))


def test_images_in_place_and_codes_that_came_with_their_source(tmp_path: Path) -> None:
    cells = [[{"bytes": data, "path": None}] for data in dict(stored(blocks(60))).values()]
    texts = [[{"user": "?", "assistant": "!"}]] * len(cells)
    pq.write_table(pa.table({"images": cells, "texts": texts}), tmp_path / "vision.parquet")
    asked = FINEVISION.settings(kind="finevision", files=[str(tmp_path / "vision.parquet")])
    assert FINEVISION.images is not None
    planning = SourcePlanning("vision", HeldOut(share=0.5), 0)
    settings = asked.settings_of(FINEVISION.images.settings, planning)
    job = make_job(tmp_path / "results", "sources", "vision-images", "finevision/images", settings)
    job.make()
    results = tmp_path / "results"
    write_tokenizer(results)
    in_place = str(job.recipe.artefact)
    _, rows, used = measured(results, {"vision": [in_place]}, {"vision": [encoded(results, "vision", in_place)]})
    assert (set(rows.split), len(rows)) == ({"heldout"}, 6)
    assert used.images.item() > 6

    given = [{"image_id": f"{number}", "image_codes": [number % 16] * 16} for number in range(20)]
    only_codes = write_splits(results, "encode/lines", CODES, [], given)
    images = write_images(results, "lines", [], [])
    _, rows, used = measured(results, {"lines": [images]}, {"lines": [only_codes]})
    assert (len(rows), used.images.item(), used.codes_used.item()) == (0, 20, 16)


def test_without_a_decoder_there_is_the_codebook_only(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, decoder=False)
    images = write_images(tmp_path, "scenes", [], stored(blocks(8)))
    manifest, rows, used = measured(tmp_path, {"scenes": [images]}, {"scenes": [encoded(tmp_path, "scenes", images)]})
    assert manifest.facts == {"decoder": False}
    assert len(rows) == 0
    assert used.codes_used.item() > 0


def test_training_images_stand_in_where_nothing_is_held_out(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    images = write_images(tmp_path, "scenes", stored(blocks(8)), [])
    _, rows, used = measured(tmp_path, {"scenes": [images]}, {"scenes": [encoded(tmp_path, "scenes", images)]})
    assert set(rows.split) == set(used.split) == {"train"}


def test_the_sample_does_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    rows = [{"image_id": f"{number}", "image_codes": [number]} for number in range(500)]
    folders = [
        tmp_path / write_splits(tmp_path, f"encode/{name}", CODES, [], of_part)
        for name, of_part in (("whole", rows), ("back", rows[::-1]), ("first", rows[:200]), ("last", rows[200:]))
    ]
    taken = [
        sorted(sampled_rows(parts, "heldout", ["image_id", "image_codes"], 40)["image_id"].to_pylist())
        for parts in (folders[:1], folders[1:2], folders[2:])
    ]
    assert taken[0] == taken[1] == taken[2]
    assert taken[0] != sorted(f"{number}" for number in range(40))
    assert [some_parts(parts) for parts in (1, PARTS, 400)] == [[0], [0, 1, 2, 3], [0, 100, 200, 300]]
