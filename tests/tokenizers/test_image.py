"""The jobs that make the image tokenizer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers.models.chameleon.modeling_chameleon import ChameleonVQVAEVectorQuantizer

from tests.jobs.making import make_job
from tests.tokenizers.published import SHAPE as PUBLISHED_SHAPE
from tests.tokenizers.published import some_pixels, some_vqgan, write_taming_folder
from tests.tokenizers.small import TRAINING, blocks, stored, write_images
from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import read_manifest
from unix_lib.images.pixels import image_from_pixels, pixels_from_rgb
from unix_lib.jobs.job import Job
from unix_lib.tokenizers import vqgan
from unix_lib.tokenizers.image import ImageTokenizer, load_image_tokenizer
from unix_lib.tokenizers.pretrained_vqgan import PlannedPretrainedVQGAN
from unix_lib.tokenizers.train_vqgan import VQGANTrainer
from unix_lib.tokenizers.trained_vqgan import VQGANExecution, VQGANTraining
from unix_lib.tokenizers.vqgan import ImageTokenizerError

WITHOUT_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def training_job(
    results: Path, *train: list[tuple[str, bytes]], execution: VQGANExecution | None = None
) -> Job[VQGANTraining, VQGANExecution]:
    """A job on sources with these training images, and the same held-out ones."""
    heldout = [(f"heldout-{name}", data) for name, data in stored(blocks(6))]
    images = [write_images(results, f"scenes{number}", split, heldout) for number, split in enumerate(train)]
    settings = TRAINING.model_copy(update={"steps": 12, "seed": 7})
    return make_job(results, "tokenizers", "image", "image/train_vqgan", settings, {"images": images}, execution)


def test_job_trains_on_the_sources_and_reports_quality(tmp_path: Path) -> None:
    """An image that two sources have counts once, in training and held out."""
    train = stored(blocks(20))
    job = training_job(tmp_path, [*train, ("broken", b"broken")], train[5:10])
    manifest = job.make()
    assert manifest.rejected == {"unreadable image": 1}
    assert manifest.facts["training_images"] == len(np.unique(blocks(20), axis=0))
    assert manifest.facts["heldout_images"] == len(np.unique(blocks(6), axis=0))
    assert 1 <= manifest.facts["code_perplexity"] <= manifest.facts["codes_used"] <= 16
    assert sorted(entry.path for entry in manifest.files) == ["config.json", "model.safetensors", "recipe.json"]
    tokenizer = load_image_tokenizer(job.folder)
    codes = tokenizer.encode(pixels_from_rgb(blocks(3)))
    assert (tokenizer.codes_per_image, codes.shape) == (16, (3, 16))
    assert not job.work.exists()


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, WITHOUT_GPU])])
def test_bf16_codes_are_mostly_those_of_float32(tmp_path: Path, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    job = training_job(tmp_path, stored(blocks(20)))
    job.make()
    levels = torch.from_numpy(blocks(40))
    exact = load_image_tokenizer(job.folder).encode(levels)
    assert torch.equal(exact, load_image_tokenizer(job.folder).encode(pixels_from_rgb(blocks(40))))
    tokenizer = load_image_tokenizer(job.folder, device, "bf16")
    compared: list[torch.dtype] = []
    quantize = ChameleonVQVAEVectorQuantizer.forward

    def told(self: ChameleonVQVAEVectorQuantizer, latents: torch.Tensor) -> Any:
        compared.append(latents.dtype)
        return quantize(self, latents)

    monkeypatch.setattr(ChameleonVQVAEVectorQuantizer, "forward", told)
    rounded = tokenizer.encode(levels)
    assert tokenizer.model.quant_conv.weight.dtype == torch.bfloat16 and set(compared) == {torch.float32}
    assert 0.8 < (rounded == exact).float().mean() < 1
    assert tokenizer.decode(rounded).dtype == torch.float32


def test_images_are_compared_with_codes_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    model = some_vqgan()
    at_once = ImageTokenizer(model).encode(some_pixels(5))
    monkeypatch.setattr(vqgan, "DISTANCES_AT_ONCE", 1)
    assert torch.equal(ImageTokenizer(model).encode(some_pixels(5)), at_once)


@pytest.mark.gpu
@WITHOUT_GPU
def test_a_compiled_encoder_gives_the_same_codes_up_to_rounding(tmp_path: Path) -> None:
    job = training_job(tmp_path, stored(blocks(20)))
    job.make()
    levels = torch.from_numpy(blocks(40))
    plain, compiled = (load_image_tokenizer(job.folder, "cuda", compiled=each).encode(levels) for each in (False, True))
    assert (plain == compiled).float().mean() > 0.98


def test_reported_psnr_is_that_of_the_decoded_pictures(tmp_path: Path) -> None:
    job = training_job(tmp_path, stored(blocks(10)))
    manifest = job.make()
    tokenizer = load_image_tokenizer(job.folder)
    heldout = np.unique(blocks(6), axis=0)
    decoded = tokenizer.decode(tokenizer.encode(pixels_from_rgb(heldout)))
    pictures = np.stack([np.asarray(image_from_pixels(image)).transpose(2, 0, 1) for image in decoded])
    error = np.mean((pictures.astype(float) - heldout.astype(float)) ** 2)
    assert manifest.facts["heldout_psnr_db"] == pytest.approx(10 * np.log10(255**2 / error), abs=1e-3)


def test_two_runs_are_identical_and_a_stopped_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = stored(blocks(12))
    undisturbed = training_job(tmp_path / "a", train).make()
    assert training_job(tmp_path / "b", train).make().digest == undisturbed.digest

    advance = VQGANTrainer.advance

    def stop_at_8(self: VQGANTrainer) -> dict[str, float]:
        if self.step == 8:
            raise KeyboardInterrupt
        return advance(self)

    job = training_job(tmp_path / "c", train)
    job.execution = VQGANExecution.model_construct(job=job.shape, checkpoint_seconds=0)  # after every step
    with monkeypatch.context() as patch:
        patch.setattr(VQGANTrainer, "advance", stop_at_8)
        with pytest.raises(KeyboardInterrupt):
            job.make()
    assert not list(job.folder.glob("*"))

    steps: list[int] = []

    def counted(self: VQGANTrainer) -> dict[str, float]:
        steps.append(self.step)
        return advance(self)

    monkeypatch.setattr(VQGANTrainer, "advance", counted)
    assert job.make().digest == undisturbed.digest
    assert steps == [8, 9, 10, 11]


def test_sources_without_images_are_refused(tmp_path: Path) -> None:
    job = training_job(tmp_path, [("broken", b"broken")])
    with pytest.raises(ImageTokenizerError, match=r"tokenizers\.image\.sources.*scenes"):
        job.make()


def pretrained_job(results: Path, path: Path) -> Job[PlannedPretrainedVQGAN, VQGANExecution]:
    settings = PlannedPretrainedVQGAN(shape=PUBLISHED_SHAPE, path=str(path))
    return make_job(results, "tokenizers", "image", "image/pretrained", settings)


def test_job_takes_over_published_weights(tmp_path: Path) -> None:
    model = some_vqgan()
    write_taming_folder(tmp_path / "published", model)
    job = pretrained_job(tmp_path / "results", tmp_path / "published")
    job.make()
    assert read_manifest(job.folder).facts == {"decoder": True}
    codes = load_image_tokenizer(job.folder).encode(some_pixels())
    assert torch.equal(codes, ImageTokenizer(model).encode(some_pixels()))


def test_published_weights_that_changed_after_the_plan_are_refused(tmp_path: Path) -> None:
    write_taming_folder(tmp_path / "published", some_vqgan())
    job = pretrained_job(tmp_path / "results", tmp_path / "published")
    (tmp_path / "published" / "more.json").write_text("{}")
    with pytest.raises(
        UserError, match=r"^tokenizers/image-\w+: path .*published changed after the plan was made; run again"
    ):
        job.make()
