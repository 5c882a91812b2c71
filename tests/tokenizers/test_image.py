"""Pixels, and the job that makes the image tokenizer."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.pack.experiment import make_job, write_records
from tests.tokenizers.test_vqgan import SHAPE as PUBLISHED_SHAPE
from tests.tokenizers.test_vqgan import some_pixels, some_vqgan, write_taming_folder
from tests.tokenizers.test_vqgan_training import SHAPE, blocks
from unix_lib.jobs.job import Job
from unix_lib.artefacts.manifest import read_manifest
from unix_lib.records.schema import SOURCE_RECORD
from unix_lib.tokenizers.image import ImageTokenizer, load_image_tokenizer, make_image_tokenizer
from unix_lib.images.pixels import (
    UnreadableImageError,
    image_from_pixels,
    pixels_from_image,
    pixels_from_rgb,
    rgb_from_bytes,
)
from unix_lib.tokenizers.train_vqgan import VQGANTrainer
from unix_lib.tokenizers.vqgan import ImageTokenizerError


def png(rgb: np.ndarray) -> bytes:
    """uint8 (3, S, S) as PNG bytes."""
    buffer = io.BytesIO()
    Image.fromarray(rgb.transpose(1, 2, 0)).save(buffer, format="PNG")
    return buffer.getvalue()


# Pixels


def test_picture_to_tensor_to_picture_is_exact_for_all_levels() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    picture = Image.fromarray(np.stack([levels, levels[::-1], levels.T], -1))
    pixels = pixels_from_image(picture)
    assert (pixels.dtype, tuple(pixels.shape)) == (torch.float32, (3, 16, 16))
    assert (float(pixels.min()), float(pixels.max())) == (-1.0, 1.0)
    assert float(pixels[0, 0, 1]) == pytest.approx(2 / 255 - 1)
    assert np.array_equal(np.asarray(image_from_pixels(pixels)), np.asarray(picture))


def test_pixels_outside_the_range_are_clamped() -> None:
    picture = image_from_pixels(torch.tensor([-3.0, 0.0, 3.0])[:, None, None].expand(3, 2, 2))
    assert np.asarray(picture)[0, 0].tolist() == [0, 128, 255]


def test_transparency_is_blended_on_white() -> None:
    picture = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    assert torch.equal(pixels_from_image(picture), torch.ones(3, 4, 4))
    picture = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    assert float(pixels_from_image(picture)[0, 0, 0]) == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "LA"])
def test_other_modes_become_rgb(mode: str) -> None:
    assert pixels_from_image(Image.new(mode, (4, 4))).shape == (3, 4, 4)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, "no image"),
        (b"", "no image"),
        (b"not an image", "unreadable image"),
        (png(np.random.default_rng(0).integers(0, 256, (3, 8, 8), np.uint8))[:150], "unreadable image"),
        (png(np.zeros((3, 8, 6), np.uint8)), "wrong image size"),
    ],
)
def test_unusable_bytes_have_a_fixed_reason(data: bytes | None, reason: str) -> None:
    with pytest.raises(UnreadableImageError) as error:
        rgb_from_bytes(data, 8)
    assert error.value.reason == reason


# The job


def records(images: np.ndarray, name: str = "image") -> list[dict[str, Any]]:
    return [
        {"sample_id": f"{name}-{i:03d}", "kind": "image_text", "text": "a block", "image": png(image)}
        for i, image in enumerate(images)
    ]


def training_job(results: Path, train: list[dict[str, Any]], **changed: Any) -> Job:
    source = write_records(results, "scenes", train, records(blocks(6), "heldout"), SOURCE_RECORD)
    settings = {
        "kind": "train_vqgan",
        "shape": SHAPE.model_dump(mode="json"),
        "steps": 12,
        "batch_size": 4,
        "learning_rate": 3e-3,
        "commitment_weight": 0.25,
        "seed": 7,
    } | changed
    return make_job(results, "tokenizers", "image", settings, {"sources": [source]})


def test_job_trains_on_the_sources_and_reports_quality(tmp_path: Path) -> None:
    train = records(blocks(20))
    train.append(train[0] | {"sample_id": "again"})
    train.append({"sample_id": "broken", "kind": "image_text", "text": "?", "image": b"broken"})
    job = training_job(tmp_path, train)
    manifest = make_image_tokenizer(job)
    assert manifest.rejected == {"unreadable image": 1}
    assert manifest.facts["training_images"] == len(np.unique(blocks(20), axis=0))
    assert manifest.facts["heldout_images"] == len(np.unique(blocks(6), axis=0))
    assert 1 <= manifest.facts["code_perplexity"] <= manifest.facts["codes_used"] <= 16
    assert sorted(entry.path for entry in manifest.files) == ["config.json", "model.safetensors", "recipe.json"]
    tokenizer = load_image_tokenizer(job.folder)
    codes = tokenizer.encode(pixels_from_rgb(blocks(3)))
    assert (tokenizer.codes_per_image, codes.shape) == (16, (3, 16))
    assert not job.work.exists()


def test_reported_psnr_is_that_of_the_decoded_pictures(tmp_path: Path) -> None:
    job = training_job(tmp_path, records(blocks(10)))
    manifest = make_image_tokenizer(job)
    tokenizer = load_image_tokenizer(job.folder)
    heldout = np.unique(blocks(6), axis=0)
    decoded = tokenizer.decode(tokenizer.encode(pixels_from_rgb(heldout)))
    pictures = np.stack([np.asarray(image_from_pixels(image)).transpose(2, 0, 1) for image in decoded])
    error = np.mean((pictures.astype(float) - heldout.astype(float)) ** 2)
    assert manifest.facts["heldout_psnr_db"] == pytest.approx(10 * np.log10(255**2 / error), abs=1e-3)


def test_two_runs_are_identical_and_a_stopped_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = records(blocks(12))
    undisturbed = make_image_tokenizer(training_job(tmp_path / "a", train))
    assert make_image_tokenizer(training_job(tmp_path / "b", train)).digest == undisturbed.digest

    advance = VQGANTrainer.advance

    def stop_at_8(self: VQGANTrainer) -> dict[str, float]:
        if self.step == 8:
            raise KeyboardInterrupt
        return advance(self)

    job = training_job(tmp_path / "c", train)
    job.execution["checkpoint_seconds"] = 0
    with monkeypatch.context() as patch:
        patch.setattr(VQGANTrainer, "advance", stop_at_8)
        with pytest.raises(KeyboardInterrupt):
            make_image_tokenizer(job)
    assert not list(job.folder.glob("*"))

    steps: list[int] = []

    def counted(self: VQGANTrainer) -> dict[str, float]:
        steps.append(self.step)
        return advance(self)

    monkeypatch.setattr(VQGANTrainer, "advance", counted)
    assert make_image_tokenizer(job).digest == undisturbed.digest
    assert steps == [8, 9, 10, 11]


def test_sources_without_images_are_refused(tmp_path: Path) -> None:
    job = training_job(tmp_path, [{"sample_id": "t", "kind": "text", "text": "words"}])
    with pytest.raises(ImageTokenizerError, match=r"tokenizers\.image\.sources.*scenes"):
        make_image_tokenizer(job)


def test_job_takes_over_published_weights(tmp_path: Path) -> None:
    model = some_vqgan()
    write_taming_folder(tmp_path / "published", model)
    settings = {
        "kind": "pretrained",
        "shape": PUBLISHED_SHAPE.model_dump(mode="json"),
        "path": str(tmp_path / "published"),
        "revision": "main",
    }
    job = make_job(tmp_path / "results", "tokenizers", "image", settings)
    make_image_tokenizer(job)
    assert read_manifest(job.folder).facts == {"decoder": True}
    codes = load_image_tokenizer(job.folder).encode(some_pixels())
    assert torch.equal(codes, ImageTokenizer(model).encode(some_pixels()))
