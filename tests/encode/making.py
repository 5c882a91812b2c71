"""Codes of a source's images by an untrained tokenizer."""

from pathlib import Path
from typing import Any

from tests.jobs.making import make_job
from tests.sources.making import Made
from tests.tokenizers.small import SHAPE
from unix_lib.artefacts.manifest import Manifest, write_manifest
from unix_lib.config.encode import EncodeExecution, EncodeSettings
from unix_lib.jobs.job import Job
from unix_lib.tokenizers.image import save_image_tokenizer
from unix_lib.tokenizers.vqgan import VQGAN, vqgan_config

TOKENIZER = "tokenizers/image-000000000000"


def untrained_tokenizer(results: Path) -> str:
    """An artefact of it; returns its name."""
    model = VQGAN(vqgan_config(SHAPE))
    model.initialize_afresh(2)
    write_manifest(results / TOKENIZER, "0" * 64, save_image_tokenizer(model, results / TOKENIZER))
    return TOKENIZER


def encoded(results: Path, images: Made, name: str = "mine") -> tuple[Job[Any, Any], Manifest]:
    """The job that encodes a source's images, and what it made."""
    inputs: dict[str, str | list[str]] = {
        "images": images.folder.relative_to(results).as_posix(),
        "image_tokenizer": untrained_tokenizer(results),
    }
    job = make_job(results, "encode", name, "codes", EncodeSettings(), inputs, EncodeExecution(batch_size=4))
    return job, job.make()
