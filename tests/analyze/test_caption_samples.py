"""What a checkpoint draws of held-out captions: the captions' own images beside it, whatever the source is made of."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.evaluate.small import GENERATE, SmallExperiment
from tests.images.pictures import png
from tests.jobs.making import make_job
from tests.records.making import write_splits
from tests.sources.making import make
from tests.sources.row_files import LAYOUTS, config_of, published
from unix_lib.analyze.caption_samples import caption_of
from unix_lib.analyze.caption_samples_kind import CaptionSamplesSettings
from unix_lib.artefacts.manifest import Manifest
from unix_lib.checkpoints.loaded import Checkpoint
from unix_lib.config.encode import EncodeSettings
from unix_lib.generate.benchmark_images import generate_pixels, image_seed
from unix_lib.records.schema import CODES, IMAGE, RECORD
from unix_lib.tokenizers.coded_images import decode_images

SAMPLING = GENERATE.image_sampling


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def codes(small: SmallExperiment, source: str, images: str) -> str:
    inputs: dict[str, str | list[str]] = {"images": images, "image_tokenizer": small.image_tokenizer}
    job = make_job(small.results, "encode", source, "codes", EncodeSettings(), inputs)
    job.make()
    return str(job.recipe.artefact)


def drawn(
    small: SmallExperiment, sources: dict[str, dict[str, str]], captions: int = 3
) -> tuple[Manifest, pd.DataFrame]:
    """The analysis of some sources: `records`, `images` and `codes` of each."""
    inputs: dict[str, Any] = {"checkpoint": small.checkpoint, "image_tokenizer": small.image_tokenizer}
    for source, artefacts in sources.items():
        inputs |= {f"{role}:{source}": [artefact] for role, artefact in artefacts.items()}
    settings = CaptionSamplesSettings(run="tiny", step=0, captions=captions, image_sampling=SAMPLING)
    job = make_job(small.results, "analyze", "caption_samples-tiny-step-00000", "caption_samples", settings, inputs)
    manifest = job.make()
    return manifest, pd.read_parquet(job.folder / "caption_samples.parquet")


def source_of(small: SmallExperiment, name: str, records: list[dict[str, Any]], images: int) -> dict[str, str]:
    """Held-out records of a source and its stored images, `<name>-0` and so on, encoded."""
    rng = np.random.default_rng(3)
    rows = [
        {"image_id": f"{name}-{number}", "image": png(rng.integers(0, 255, (3, 32, 32), np.uint8))}
        | {"width": 32, "height": 32}
        for number in range(images)
    ]
    stored = write_splits(small.results, f"sources/{name}-images", IMAGE, [], rows)
    filled = [{"source": name, "text": None, "messages": None} | record for record in records]
    return {
        "records": write_splits(small.results, f"sources/{name}", RECORD, [], filled),
        "images": stored,
        "codes": codes(small, name, stored),
    }


def test_images_are_those_of_the_captions_and_of_the_checkpoint(small: SmallExperiment) -> None:
    records = [
        {"sample_id": f"{number}", "kind": "image_text", "text": f" caption {number}", "image_ids": [f"own-{number}"]}
        for number in range(9)
    ]
    records += [{"sample_id": "t", "kind": "text", "text": "no image", "image_ids": None}]
    records += [{"sample_id": "p", "kind": "image_text", "text": "two", "image_ids": ["own-1", "own-2"]}]
    own = source_of(small, "own", records, 9)
    manifest, table = drawn(small, {"own": own})
    assert (len(table), manifest.rejected, set(table.split)) == (3, {}, {"heldout"})
    assert set(table.architecture) == {"shared"}
    checkpoint = Checkpoint(small.results / small.checkpoint, small.results / small.image_tokenizer, 4)
    stored = pq.read_table(next((small.results / own["codes"]).glob("heldout-*.parquet"))).to_pylist()
    of_image = {row["image_id"]: row["image_codes"] for row in stored}
    reconstructions = decode_images(checkpoint.image_tokenizer, np.array([of_image[name] for name in table.image_id]))
    seeds = [image_seed(SAMPLING.seed, caption, 0, 0) for caption in table.caption]
    generated = generate_pixels(checkpoint, list(table.caption), seeds, SAMPLING)
    for row, reconstruction, image in zip(table.itertuples(), reconstructions, generated, strict=True):
        assert row.caption == f"caption {row.sample_id}" and row.image_id == f"own-{row.sample_id}"
        assert (pixels(row.generated) == image).all()
        assert (pixels(row.reconstruction) == reconstruction).all()
        error = np.square(pixels(row.original).astype(float) - reconstruction).mean()
        assert row.psnr_db == pytest.approx(10 * np.log10(255**2 / error))
    again, _ = drawn(small, {"own": own})
    assert again.digest == manifest.digest


def test_what_has_no_caption_or_no_image_is_counted_and_codes_alone_are_enough(small: SmallExperiment) -> None:
    def turns(*answers: str) -> list[dict[str, str]]:
        return [
            turn for a in answers for turn in ({"role": "user", "content": "?"}, {"role": "assistant", "content": a})
        ]

    talk = {"sample_id": "talk", "kind": "conversation", "messages": turns("yes", "a long answer", "no")}
    records = [
        talk | {"sample_id": "unasked"},  # beside captions
        {"sample_id": "told", "kind": "image_text", "text": "a told image"},
        {"sample_id": "silent", "kind": "image_text", "text": "  "},
        {"sample_id": "lost", "kind": "image_text", "text": "set aside when it was encoded"},
        {"sample_id": "endless", "kind": "image_text", "text": "words and words " * 2000},
    ]
    ids = ["told-0", "told-0", "told-1", "absent", "told-2"]
    records = [record | {"image_ids": [image]} for record, image in zip(records, ids, strict=True)]
    given = [{"image_id": f"lines-{number}", "image_codes": [number] * 64} for number in range(2)]
    lines = [
        {"sample_id": f"{number}", "kind": "image_text", "text": "一只红色的猫", "messages": None, "source": "lines"}
        | {"image_ids": [f"lines-{number}"]}
        for number in range(2)
    ]
    of_lines = {
        "records": write_splits(small.results, "sources/lines", RECORD, lines, []),
        "images": write_splits(small.results, "sources/lines-images", IMAGE, [], []),
        "codes": write_splits(small.results, "encode/lines", CODES, given, []),
    }
    sources = {"told": source_of(small, "told", records, 3), "lines": of_lines}
    sources["talks"] = source_of(small, "talks", [talk | {"image_ids": ["talks-0"]}], 1)
    manifest, table = drawn(small, sources)
    assert manifest.rejected == {
        "no caption": 1,
        "its image was not encoded": 1,
        "too long for a prompt": 1,
    }
    (shown,) = table[table.source == "talks"].itertuples()
    assert shown.caption == "a long answer" and shown.original is not None
    assert list(table[table.source == "told"].sample_id) == ["told"]
    codes_only = table[table.source == "lines"]
    assert (len(codes_only), set(codes_only.split)) == (2, {"train"})
    assert codes_only.original.isna().all() and codes_only.psnr_db.isna().all() and codes_only.generated.notna().all()


def test_a_source_of_every_layout_is_drawn(small: SmallExperiment, tmp_path: Path) -> None:
    sources = {}
    for name in LAYOUTS:
        source, folder = name.replace(".", "-"), tmp_path / name
        folder.mkdir()
        config = config_of(name, folder, 15)
        if name == "published":
            published(folder / LAYOUTS[name].file, 15, codes_per_image=64)
        made = make(small.results, source, held_out=0.4, **config)
        records, images = (f"sources/{made[what].folder.name}" for what in ("records", "images"))
        sources[source] = {"records": records, "images": images, "codes": codes(small, source, images)}
    manifest, table = drawn(small, sources, captions=2)
    assert manifest.rejected == {} and set(table.source) == set(sources) and set(table.split) == {"heldout"}
    assert table.caption.str.contains("oise|噪声|Rauschen|text").all() and table.generated.notna().all()
    assert set(table[table.original.isna()].source) == {"published"}


def test_a_conversation_says_most_in_its_longest_answer() -> None:
    talk = {"kind": "conversation", "text": None, "messages": [{"role": "user", "content": "a long question"}]}
    assert caption_of(talk) == ""
    assert caption_of({"kind": "image_text", "text": None, "messages": None}) == ""
