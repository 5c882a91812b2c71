"""Encoding a source: codes as the tokenizer gives them, everything else untouched, bad images set aside, resumable."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from tests.pack.experiment import make_job, write_records
from tests.tokenizers.test_image import png, records
from tests.tokenizers.test_vqgan_training import SHAPE, blocks
from unix_lib.jobs.job import Job
from unix_lib.artefacts.manifest import write_manifest
from unix_lib.encode import make as encode_make
from unix_lib.encode.make import make_encoding
from unix_lib.artefacts.recipe import Recipe
from unix_lib.records.schema import ENCODED_RECORD, SOURCE_RECORD
from unix_lib.records.shards import iterate_rows, read_split
from unix_lib.tokenizers.image import ImageTokenizer, load_image_tokenizer, save_image_tokenizer
from unix_lib.images.pixels import pixels_from_rgb
from unix_lib.tokenizers.vqgan import VQGAN, ImageTokenizerError, vqgan_config


def encode_job(results: Path, train: list[dict[str, Any]], batch_size: int = 4) -> Job:
    recipe = Recipe("tokenizers", "image", 1, {"shape": SHAPE.model_dump(mode="json")})
    model = VQGAN(vqgan_config(SHAPE))
    model.initialize_afresh(2)
    write_manifest(results / recipe.artefact, recipe.digest, save_image_tokenizer(model, results / recipe.artefact))
    source = write_records(results, "scenes", train, records(blocks(5), "heldout"), SOURCE_RECORD)
    job = make_job(results, "encode", "scenes", {}, {"source": source, "image_tokenizer": recipe.artefact})
    job.execution["batch_size"] = batch_size
    return job


def conversation(image: bytes | None, name: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": "Is it red?"}, {"role": "assistant", "content": "no"}]
    return {"sample_id": name, "kind": "conversation", "messages": messages, "image": image, "width": 8, "height": 8}


def test_codes_are_the_tokenizers_and_other_columns_stay(tmp_path: Path) -> None:
    images = blocks(11)
    train = [*records(images), conversation(png(images[3]), "talk"), conversation(None, "talk without image")]
    job = encode_job(tmp_path, train)
    manifest = make_encoding(job)
    table = read_split(job.folder, "train")
    assert table.schema.equals(ENCODED_RECORD)
    before = read_split(job.input("source"), "train")
    shared = [name for name in ENCODED_RECORD.names if name != "image_codes"]
    assert table.select(shared).equals(before.select(shared))
    tokenizer = load_image_tokenizer(job.input("image_tokenizer"))
    expected = tokenizer.encode(pixels_from_rgb(images)).tolist()
    codes = table["image_codes"].to_pylist()
    different = [place for row, right in zip(codes[:11], expected, strict=True) for place in np.not_equal(row, right)]
    assert np.mean(different) < 0.02  # other batches, other rounding
    assert codes[11] == codes[3]
    assert codes[12] is None
    assert manifest.rejected == {}
    assert manifest.facts["images"] == 12 + 5


def test_unusable_images_are_set_aside_with_reasons(tmp_path: Path) -> None:
    train = records(blocks(6))
    train[1]["image"] = train[1]["image"][:50]
    train[3]["image"] = png(np.zeros((3, 16, 16), np.uint8))
    train[4]["image"] = None
    job = encode_job(tmp_path, [*train, conversation(b"garbage", "talk")])
    manifest = make_encoding(job)
    assert manifest.rejected == {"no image": 1, "unreadable image": 2, "wrong image size": 1}
    assert [row["sample_id"] for row in iterate_rows(job.folder, "train")] == ["image-000", "image-002", "image-005"]
    rejected = pq.read_table(job.folder / "rejected.parquet").to_pylist()
    assert [(row["sample_id"], row["origin"]) for row in rejected] == [
        ("image-001", "train row 1"),
        ("image-003", "train row 3"),
        ("image-004", "train row 4"),
        ("talk", "train row 6"),
    ]
    assert "16x16, expected 8x8" in rejected[1]["detail"]


def test_an_image_in_two_records_is_encoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    encode = ImageTokenizer.encode

    def counting(self: ImageTokenizer, pixels: torch.Tensor) -> torch.Tensor:
        seen.extend(hashlib.sha256(image.numpy().tobytes()).hexdigest() for image in pixels)
        return encode(self, pixels)

    monkeypatch.setattr(ImageTokenizer, "encode", counting)
    images = np.unique(blocks(9), axis=0)
    train = [*records(images), *(conversation(png(image), f"talk-{i}") for i, image in enumerate(images))]
    make_encoding(encode_job(tmp_path, train))
    train_seen = seen[: len(images)]
    assert len(set(train_seen)) == len(images)
    assert len(seen) == len(images) + len(np.unique(blocks(5), axis=0))


def test_two_runs_are_identical_and_a_stopped_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode_make, "CHUNK_ROWS", 4)
    train = [*records(blocks(14)), conversation(b"garbage", "talk")]
    undisturbed = make_encoding(encode_job(tmp_path / "a", train))
    assert make_encoding(encode_job(tmp_path / "b", train)).digest == undisturbed.digest

    encode, calls = ImageTokenizer.encode, []

    def stop_at_third(self: ImageTokenizer, pixels: torch.Tensor) -> torch.Tensor:
        calls.append(len(pixels))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return encode(self, pixels)

    job = encode_job(tmp_path / "c", train)
    monkeypatch.setattr(ImageTokenizer, "encode", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        make_encoding(job)
    assert not list(job.folder.glob("train*"))
    done_before = len(calls) - 1
    assert make_encoding(job).digest == undisturbed.digest
    # Two chunks were done; what the first attempt finished is not encoded again.
    chunks = 4 + 2  # of 4 rows: 15 training and 5 held-out records
    assert done_before == 2
    assert len(calls) - 3 == chunks - done_before
    assert not job.work.exists()


def test_batch_size_changes_codes_by_rounding_at_most(tmp_path: Path) -> None:
    tables = []
    for batch_size in (1, 16):
        job = encode_job(tmp_path / str(batch_size), records(blocks(16)), batch_size)
        make_encoding(job)
        tables.append(np.array(read_split(job.folder, "train")["image_codes"].to_pylist()))
    assert tables[0].shape == (16, 16)
    assert np.mean(tables[0] != tables[1]) < 0.02


def test_more_codes_than_a_record_stores_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = encode_job(tmp_path, records(blocks(2)))
    monkeypatch.setattr(ImageTokenizer, "codebook_size", 65537)
    with pytest.raises(ImageTokenizerError, match=r"^tokenizers\.image\.shape\.codebook_size: 65537 codes, .* 65536"):
        make_encoding(job)
    encode_make.require_storable(65536)
