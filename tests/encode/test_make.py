"""Encoding images: codes as the tokenizer gives them, under the images' ids, bad images set aside, resumable."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from tests.artefacts.damage import DAMAGES, damage, files_in
from tests.encode.making import untrained_tokenizer
from tests.images.pictures import png
from tests.jobs.making import make_job
from tests.tokenizers.small import blocks, stored, write_images
from unix_lib.config.encode import EncodeExecution, EncodeSettings
from unix_lib.encode import chunks as encode_chunks
from unix_lib.encode import make as encode_make
from unix_lib.images.pixels import pixels_from_rgb
from unix_lib.jobs.job import Job
from unix_lib.records.schema import CODES
from unix_lib.records.shards import iterate_rows, read_split
from unix_lib.tokenizers.image import ImageTokenizer, load_image_tokenizer
from unix_lib.tokenizers.vqgan import ImageTokenizerError


def encode_job(
    results: Path, train: list[tuple[str, bytes]], batch_size: int = 4
) -> Job[EncodeSettings, EncodeExecution]:
    """Five held-out images beside those for training, and an untrained tokenizer."""
    images = write_images(results, "scenes", train, stored(different(5)))
    inputs: dict[str, str | list[str]] = {"images": images, "image_tokenizer": untrained_tokenizer(results)}
    execution = EncodeExecution(batch_size=batch_size)
    return make_job(results, "encode", "scenes", "codes", EncodeSettings(), inputs, execution)


def different(count: int) -> np.ndarray:
    """uint8 (count, 3, 8, 8), no two alike."""
    images = blocks(4 * count)
    _, first = np.unique(images, axis=0, return_index=True)
    return images[np.sort(first)[:count]]


def test_codes_are_the_tokenizers_in_the_order_of_the_images(tmp_path: Path) -> None:
    images = different(11)
    job = encode_job(tmp_path, stored(images))
    manifest = job.make()
    table = read_split(job.folder, "train")
    assert table.schema.equals(CODES)
    assert table["image_id"].to_pylist() == [f"image-{number:03d}" for number in range(11)]
    expected = load_image_tokenizer(job.input("image_tokenizer")).encode(pixels_from_rgb(images))
    assert (
        np.mean(np.array(table["image_codes"].to_pylist()) != expected.numpy()) < 0.02
    )  # other batches round otherwise
    assert manifest.rejected == {}
    assert manifest.facts["images"] == 11 + 5
    assert 1 <= manifest.facts["codes_used"] <= manifest.facts["codebook_size"] == 16
    assert manifest.provenance["metrics"]["images_encoded"] == 11 + 5


def test_unusable_images_are_set_aside_with_reasons(tmp_path: Path) -> None:
    train = dict(stored(different(6)))
    train["image-001"] = train["image-001"][:50]
    train["image-003"] = png(np.zeros((3, 16, 16), np.uint8))
    train["image-004"] = b""
    job = encode_job(tmp_path, [*train.items(), ("garbage", b"garbage")])
    manifest = job.make()
    assert manifest.rejected == {"no image": 1, "unreadable image": 2, "wrong image size": 1}
    assert [row["image_id"] for row in iterate_rows(job.folder, "train")] == ["image-000", "image-002", "image-005"]
    rejected = pq.read_table(job.folder / "rejected.parquet").to_pylist()
    assert [(row["sample_id"], row["origin"]) for row in rejected] == [
        ("image-001", "train row 1"),
        ("image-003", "train row 3"),
        ("image-004", "train row 4"),
        ("garbage", "train row 6"),
    ]
    assert "16x16, expected 8x8" in rejected[1]["detail"]
    assert manifest.facts["images"] == 3 + 5


def stopped_at_the_third_batch(job: Job[EncodeSettings, EncodeExecution], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Run a job until it is killed in its third batch; returns what gets the sizes of all batches to come."""
    encode, calls = ImageTokenizer.encode, list[int]()

    def stop_at_third(self: ImageTokenizer, pixels: torch.Tensor) -> torch.Tensor:
        calls.append(len(pixels))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return encode(self, pixels)

    monkeypatch.setattr(ImageTokenizer, "encode", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        job.make()
    assert len(calls) >= 3 and not list(job.folder.glob("train*"))
    monkeypatch.setattr(
        ImageTokenizer, "encode", lambda self, pixels: (calls.append(len(pixels)), encode(self, pixels))[1]
    )
    calls.clear()
    return calls


@pytest.mark.parametrize(("chunk_images", "kept_after"), [(4, 60.0), (2048, 0.0)])
def test_two_runs_are_identical_and_a_stopped_one_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_images: int, kept_after: float
) -> None:
    monkeypatch.setattr(encode_chunks, "CHUNK_IMAGES", chunk_images)
    train = [*stored(different(14)), ("garbage", b"garbage")]
    undisturbed = encode_job(tmp_path / "a", train).make()
    monkeypatch.setattr(encode_chunks, "KEPT_AFTER", kept_after)
    assert encode_job(tmp_path / "b", train).make().digest == undisturbed.digest

    job = encode_job(tmp_path / "c", train)
    calls = stopped_at_the_third_batch(job, monkeypatch)
    assert job.make().digest == undisturbed.digest
    # Two batches were done; what the first attempt finished is not encoded again.
    assert calls == [4, 2, 4, 1]
    assert not job.work.exists()


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("file", [0, 1])
def test_a_damaged_piece_is_encoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, file: int, how: str
) -> None:
    monkeypatch.setattr(encode_chunks, "KEPT_AFTER", 0.0)
    train = stored(different(14))
    undisturbed = encode_job(tmp_path / "a", train).make()
    job = encode_job(tmp_path / "b", train)
    calls = stopped_at_the_third_batch(job, monkeypatch)
    kept = files_in(job.work)
    assert len(kept) == 2 * 2
    damage(kept[file], how)
    assert job.make().digest == undisturbed.digest
    assert calls == [4, 4, 2, 4, 1]
    assert f"damaged, and computed again: {kept[file].parent}" in caplog.text


def test_several_devices_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = [*stored(different(14)), ("garbage", b"garbage")]
    one = encode_job(tmp_path / "a", train).make()
    monkeypatch.setattr(encode_make, "devices_of", lambda shape: ["cpu"] * 3)
    encode, users = ImageTokenizer.encode, set[int]()

    def told(self: ImageTokenizer, pixels: torch.Tensor) -> torch.Tensor:
        users.add(id(self))
        return encode(self, pixels)

    monkeypatch.setattr(ImageTokenizer, "encode", told)
    assert encode_job(tmp_path / "b", train).make().digest == one.digest
    assert len(users) == 3


def test_batch_size_changes_codes_by_rounding_at_most(tmp_path: Path) -> None:
    tables = []
    for batch_size in (1, 16):
        job = encode_job(tmp_path / str(batch_size), stored(different(16)), batch_size)
        job.make()
        tables.append(np.array(read_split(job.folder, "train")["image_codes"].to_pylist()))
    assert tables[0].shape == (16, 16)
    assert np.mean(tables[0] != tables[1]) < 0.02


def test_more_codes_than_16_bits_hold_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = encode_job(tmp_path, stored(blocks(2)))
    monkeypatch.setattr(ImageTokenizer, "codebook_size", 65537)
    with pytest.raises(ImageTokenizerError, match=r"^tokenizers\.image\.shape\.codebook_size: 65537 codes, .* 65536"):
        job.make()
    encode_make.require_storable(65536)
