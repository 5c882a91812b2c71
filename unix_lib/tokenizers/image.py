"""Makes, saves and loads the image tokenizer: pixels to codes and back.

On disk it is `model.safetensors` and `config.json`, transformers' ChameleonVQVAEConfig (so that
`ChameleonVQVAE.from_pretrained(folder)` reads the encoder) plus `decoder`: whether the weights hold one.

Shapes: B batch, S pixels along a side, C codes per image, row-major.
"""

import json
import logging
from collections import Counter
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers.models.chameleon.configuration_chameleon import ChameleonVQVAEConfig

from unix_lib.artefacts.files import atomic_path, write_json
from unix_lib.artefacts.manifest import Facts, Manifest
from unix_lib.config.encode import Precision
from unix_lib.config.jobs import Execution, JobShape
from unix_lib.images.files import BadImage
from unix_lib.images.pixels import pixels_from_levels, pixels_from_rgb
from unix_lib.jobs.job import Job
from unix_lib.records.shards import Split
from unix_lib.sources.in_place.reading import Images
from unix_lib.sources.screening.screened import screened_out
from unix_lib.tokenizers.fidelity import code_perplexity, psnr_db
from unix_lib.tokenizers.pretrained_vqgan import PlannedPretrainedVQGAN
from unix_lib.tokenizers.train_vqgan import train_vqgan
from unix_lib.tokenizers.trained_vqgan import VQGANExecution, VQGANTraining
from unix_lib.tokenizers.vqgan import VQGAN, ImageTokenizerError, grid_of, vqgan_config
from unix_lib.tokenizers.vqgan_weights import read_pretrained

logger = logging.getLogger(__name__)

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
CONFIG_KEYS = (
    *("embed_dim", "num_embeddings", "double_latent", "latent_channels", "resolution", "in_channels"),
    *("base_channels", "channel_multiplier", "num_res_blocks", "attn_resolutions", "dropout", "attn_type"),
)
HELDOUT_BATCH = 32
CHUNK_IMAGES = 1024  # as stored, in memory at a time


class ImageTokenizer:
    """A VQGAN ready for use: in evaluation mode, without gradients, on one device.

    Args:
        precision: what it encodes in; it decodes in float32.
        compiled: whether the encoder is compiled when it is first used.
    """

    def __init__(
        self, model: VQGAN, device: str = "cpu", precision: Precision = "float32", *, compiled: bool = False
    ) -> None:
        model.eval().to(device)
        on_gpu = device.startswith("cuda")  # where convolutions are faster with channels last
        for part in (model.encoder, model.quant_conv):
            if precision == "bf16":
                part.to(torch.bfloat16)
            if on_gpu:
                part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if compiled:
            model.encoder.compile()
        self._layout = torch.channels_last if on_gpu else torch.contiguous_format
        self.model = model
        self.device = device

    @property
    def codebook_size(self) -> int:
        return self.model.config.num_embeddings

    @property
    def has_decoder(self) -> bool:
        """Whether it also makes images of codes."""
        return self.model.decoder is not None

    @property
    def image_size(self) -> int:
        """S, pixels along a side."""
        return self.model.config.resolution

    @property
    def codes_per_image(self) -> int:
        return grid_of(self.model.config) ** 2

    @torch.inference_mode()
    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels (B, 3, S, S), float32 in [-1, 1] or uint8, to codes int64 (B, C), on the CPU."""
        pixels = pixels.to(self.device).contiguous(memory_format=self._layout)
        with exact_convolutions():
            return self.model.codes(pixels_from_levels(pixels) if pixels.dtype == torch.uint8 else pixels).cpu()

    @torch.inference_mode()
    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes int64 (B, C) to pixels float32 (B, 3, S, S), clamped to [-1, 1], on the CPU.

        Raises:
            ImageTokenizerError: the tokenizer has no decoder.
        """
        with exact_convolutions():
            return self.model.pixels(codes.to(self.device)).clamp(-1.0, 1.0).cpu()


def exact_convolutions() -> AbstractContextManager[None]:
    """GPUs otherwise round convolutions to TF32, ten bits, and codes near a boundary would differ from a CPU's."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)


def save_image_tokenizer(model: VQGAN, folder: Path) -> dict[str, int | None]:
    """Write a VQGAN; returns its files as `Job.finish` takes them. The same weights give the same bytes."""
    values: dict[str, Any] = {name: getattr(model.config, name) for name in CONFIG_KEYS}
    values["channel_multiplier"] = list(values["channel_multiplier"])
    write_json(
        folder / CONFIG_FILE, {"model_type": model.config.model_type, "decoder": model.decoder is not None} | values
    )
    with atomic_path(folder / WEIGHTS_FILE) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, temporary)
    return {CONFIG_FILE: None, WEIGHTS_FILE: None}


def load_image_tokenizer(
    folder: Path, device: str = "cpu", precision: Precision = "float32", *, compiled: bool = False
) -> ImageTokenizer:
    """Read what `save_image_tokenizer` wrote; see `ImageTokenizer`.

    Raises:
        ImageTokenizerError: the folder holds no image tokenizer.
    """
    try:
        values = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        model = VQGAN(
            ChameleonVQVAEConfig(**{name: values[name] for name in CONFIG_KEYS}), with_decoder=values["decoder"]
        )
        model.load_state_dict(load_file(folder / WEIGHTS_FILE))
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ImageTokenizerError(
            f"{folder}: not an image tokenizer ({type(error).__name__}: {error}); run the workflow again to make it"
        ) from None
    return ImageTokenizer(model, device, precision, compiled=compiled)


def device_of(shape: JobShape) -> str:
    """`cuda` where the job asked for a GPU and has one, else `cpu`."""
    return "cuda" if shape.gpus and torch.cuda.is_available() else "cpu"


def devices_of(shape: JobShape) -> list[str]:
    """As many GPUs as the job asked for and has; `cpu` where that is none."""
    return [f"cuda:{number}" for number in range(min(shape.gpus, torch.cuda.device_count()))] or ["cpu"]


def make_pretrained_tokenizer(job: Job[PlannedPretrainedVQGAN, Execution]) -> Manifest:
    """Make `tokenizers/image` of published weights.

    Raises:
        ImageTokenizerError: nothing to read there, or weights of another shape.
    """
    settings = job.settings
    model = read_pretrained(settings.path, settings.revision, vqgan_config(settings.shape))
    return job.finish(save_image_tokenizer(model, job.folder), facts={"decoder": model.decoder is not None})


def make_trained_tokenizer(job: Job[VQGANTraining, VQGANExecution]) -> Manifest:
    """Make `tokenizers/image`: a VQGAN trained on the inputs in role `images`.

    Raises:
        ImageTokenizerError: there is no readable image in them.
    """
    folders, image_size = job.inputs("images"), job.settings.shape.image_size
    without = screened_out(job.inputs("screening"))
    images, rejected = read_images(folders, "train", image_size, without)
    if len(images) == 0:
        raise ImageTokenizerError(
            f"tokenizers.image.sources: no readable training image in {', '.join(folder.name for folder in folders)}; "
            "name a source that has images"
        )
    logger.info("image tokenizer: %d different training images", len(images))
    # The state is kept beside the artefact, not in it: the workflow deletes a failed job's outputs, never this.
    model = train_vqgan(images, job.settings, work=job.work, checkpoint_seconds=job.execution.checkpoint_seconds)
    files = save_image_tokenizer(model, job.folder)
    heldout, _ = read_images(folders, "heldout", image_size, without)
    facts = {"training_images": len(images)} | quality(ImageTokenizer(model), heldout)
    logger.info("image tokenizer: %s", facts)
    manifest = job.finish(files, rejected=rejected, facts=facts)
    job.clear_work()
    return manifest


def read_images(
    folders: list[Path], split: Split, image_size: int, without: Iterable[str] = ()
) -> tuple[np.ndarray, dict[str, int]]:
    """The different images of a split, in order, uint8 (N, 3, S, S), and the number of unreadable ones by reason."""
    images: dict[str, np.ndarray] = {}
    rejected: Counter[str] = Counter()
    for folder in folders:
        stored = Images(folder, image_size, without)
        for chunk in stored.chunks(CHUNK_IMAGES, [split]):
            new = [index for index, name in enumerate(chunk.ids) if name not in images]
            for index, rgb in zip(new, stored.decoded(chunk.read(new)), strict=True):
                if isinstance(rgb, BadImage):
                    rejected[rgb.reason] += 1
                else:
                    images[chunk.ids[index]] = rgb
    pixels = np.array(list(images.values()), np.uint8).reshape(-1, 3, image_size, image_size)  # N may be 0
    return pixels, dict(rejected)


def quality(tokenizer: ImageTokenizer, images: np.ndarray) -> Facts:
    """How well held-out images survive, uint8 (N, 3, S, S), N may be 0.

    Returns:
        `heldout_images`; `heldout_psnr_db` over all pixels, peak 255 after rounding to 8 bits; `codes_used` of
        `codebook_size`; `code_perplexity`, exp of the entropy of the codes' distribution.
    """
    facts: Facts = {"heldout_images": len(images), "codebook_size": tokenizer.codebook_size}
    if len(images) == 0:
        return facts
    squared_error, counts = 0.0, np.zeros(tokenizer.codebook_size, np.int64)
    for first in range(0, len(images), HELDOUT_BATCH):
        batch = images[first : first + HELDOUT_BATCH]
        codes = tokenizer.encode(pixels_from_rgb(batch))
        levels = ((tokenizer.decode(codes).double().numpy() + 1.0) * 127.5).round()
        squared_error += float(np.square(levels - batch).sum())
        counts += np.bincount(codes.numpy().ravel(), minlength=tokenizer.codebook_size)
    return facts | {
        "heldout_psnr_db": round(psnr_db(squared_error, images.size), 3),
        "codes_used": int((counts > 0).sum()),
        "code_perplexity": round(code_perplexity(counts), 3),
    }
