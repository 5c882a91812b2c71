"""Draws a benchmark's prompts with a checkpoint: images sampled with guidance, each from a seed of its own."""

import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from unix_lib.artefacts.files import canonical_json
from unix_lib.artefacts.manifest import Facts, Manifest
from unix_lib.benchmarks.dpg import read_dpg
from unix_lib.benchmarks.geneval_prompts import occurrences, read_prompts
from unix_lib.benchmarks.settings import CaptionImages, ImageSettings
from unix_lib.benchmarks.tables import IMAGES, IMAGES_FILE
from unix_lib.checkpoints.loaded import Checkpoint
from unix_lib.config.brought import AskingExecution
from unix_lib.config.generate import DecodingExecution, ImageSampling
from unix_lib.generate.asked import ask_for_images
from unix_lib.generate.members import asked_file, checkpoint_of, finish
from unix_lib.generate.store import SampleStore
from unix_lib.images.files import png_bytes
from unix_lib.inference.batches import generate_images
from unix_lib.inference.needs import has_room
from unix_lib.inference.requests import Request
from unix_lib.jobs.job import Job
from unix_lib.pack.sampled import captioned_rows
from unix_lib.pack.sequences import text_to_image_prompt_ids
from unix_lib.records.schema import Row
from unix_lib.tokenizers.coded_images import decode_images


def make_images(job: Job[ImageSettings, DecodingExecution], checkpoint: Checkpoint | None = None) -> Manifest:
    """Make the images of `generate/<run>-step-00100-<benchmark>` for prompts in GenEval's layout.

    Raises:
        BenchmarkError: no file. GenEvalError: not a prompt in GenEval's layout.
    """
    settings = job.settings
    prompts, _ = read_prompts(asked_file(job, "geneval.jsonl"), settings.limit, settings.prompts)
    return draw(job, [prompt["prompt"] for prompt in prompts], checkpoint)  # scoring counts what is set aside


def make_dpg_images(job: Job[ImageSettings, DecodingExecution], checkpoint: Checkpoint | None = None) -> Manifest:
    """The same for DPG-Bench's.

    Raises:
        BenchmarkError: no file, or not a prompt with questions.
    """
    prompts, _ = read_dpg(asked_file(job, "dpg.csv"), job.settings.limit, job.settings.prompts)
    return draw(job, [prompt.prompt for prompt in prompts], checkpoint)


def make_caption_images(job: Job[CaptionImages, DecodingExecution], checkpoint: Checkpoint | None = None) -> Manifest:
    """The same for captions of a source, an image each."""
    rows = captioned_rows(job.inputs("records"), job.settings.split, job.settings.limit)
    return draw(job, [row["text"].strip() for row in rows], checkpoint)


def fits(checkpoint: Checkpoint, caption: str) -> bool:
    """Whether the model has room for an image behind a caption."""
    prompt = text_to_image_prompt_ids(checkpoint.tokenizer, checkpoint.vocabulary, caption, checkpoint.wording)
    return has_room(Request(prompt, image=ImageSampling()), checkpoint.model.config)


def draw(job: Job[Any, DecodingExecution], prompts: Sequence[str], checkpoint: Checkpoint | None) -> Manifest:
    """Draw every prompt as often as the settings say, here or behind an endpoint, and finish the job.

    Prompts that are too long for the model have no images; the facts count them, and so do scores.
    """
    sampling = job.settings.image_sampling
    wanted = [
        {
            "prompt_index": index,
            "sample_index": sample,
            "prompt": prompt,
            "seed": image_seed(sampling.seed, prompt, occurrence, sample),
        }
        for index, (prompt, occurrence) in enumerate(zip(prompts, occurrences(prompts), strict=True))
        for sample in range(sampling.images_per_prompt)
    ]

    if isinstance(job.execution, AskingExecution):
        return ask_for_images(job, wanted)
    loaded = checkpoint or checkpoint_of([job])
    too_long = {prompt for prompt in dict.fromkeys(prompts) if not fits(loaded, prompt)}
    wanted = [row for row in wanted if row["prompt"] not in too_long]

    def generate(batch: Sequence[Row]) -> list[Row]:
        captions, seeds = ([row[name] for row in batch] for name in ("prompt", "seed"))
        pixels = generate_pixels(loaded, captions, seeds, sampling)
        return [row | {"image": png_bytes(image)} for row, image in zip(batch, pixels, strict=True)]

    store = SampleStore(job.work, IMAGES)
    images = store.fill(wanted, generate, batch_size=job.execution.batch_size, name=job.recipe.name)
    left_out = sum(prompt in too_long for prompt in prompts)
    facts: Facts = {"too_long": left_out} if left_out else {}
    return finish(job, loaded, IMAGES_FILE, images, **facts)


def image_seed(seed: int, prompt: str, occurrence: int, sample_index: int) -> int:
    """Seed of one image, 64 bits: the same for every checkpoint, whatever other prompts a file holds.

    `occurrence` says how often the same text stood in the file before.
    """
    digest = hashlib.sha256(canonical_json([seed, prompt, occurrence, sample_index]).encode()).digest()
    return int.from_bytes(digest[:8], "little")


def generate_pixels(
    checkpoint: Checkpoint, captions: list[str], seeds: list[int], sampling: ImageSampling
) -> np.ndarray:
    """One image per caption, uint8 (N, S, S, 3)."""

    @cache
    def prompt_of(caption: str | None) -> list[int]:
        return text_to_image_prompt_ids(checkpoint.tokenizer, checkpoint.vocabulary, caption, checkpoint.wording)

    prompts = [prompt_of(caption) for caption in captions]
    codes = generate_images(checkpoint.engine, prompts, prompt_of(None), seeds, sampling)
    return decode_images(checkpoint.image_tokenizer, codes)
