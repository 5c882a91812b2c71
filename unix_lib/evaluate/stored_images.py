"""Reads the images that a checkpoint drew for a benchmark's prompts."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.tables import IMAGES_FILE
from unix_lib.records.schema import Row

AT_ONCE = 64


def stored_images(answers: Path) -> Iterator[tuple[list[Row], list[bytes]]]:
    """Rows of `IMAGES` without images, and the images as they are stored, a few at a time."""
    with pq.ParquetFile(answers / IMAGES_FILE) as file:
        for batch in file.iter_batches(AT_ONCE):
            some = batch.to_pylist()
            yield some, [row.pop("image") for row in some]


def images_a_prompt(answers: Path) -> int:
    """How many images each prompt has that has any.

    Raises:
        BenchmarkError: none has one.
    """
    samples = pq.read_table(answers / IMAGES_FILE, columns=["sample_index"])["sample_index"].to_pylist()
    if not samples:
        raise BenchmarkError(f"{answers}: not one image; every prompt is too long for the model")
    return 1 + int(max(samples))


def decoded(image: bytes) -> np.ndarray:
    """A stored image, uint8 (height, width, 3)."""
    return np.asarray(Image.open(io.BytesIO(image)).convert("RGB"))
