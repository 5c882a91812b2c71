"""Reads the images that a checkpoint drew for a benchmark's prompts."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from unix_lib.artefacts.recipe import recipe_of
from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.tables import IMAGES_FILE
from unix_lib.records.rejected import REJECTED_FILE
from unix_lib.records.schema import Row

AT_ONCE = 64


def stored_images(answers: Path) -> Iterator[tuple[list[Row], list[bytes]]]:
    """Rows of `IMAGES` without images, and the images as they are stored, a few at a time."""
    with pq.ParquetFile(answers / IMAGES_FILE) as file:
        for batch in file.iter_batches(AT_ONCE):
            some = batch.to_pylist()
            yield some, [row.pop("image") for row in some]


def images_a_prompt(answers: Path) -> int:
    """How many images of each prompt were asked for.

    Raises:
        BenchmarkError: there is not one.
    """
    if not pq.read_metadata(answers / IMAGES_FILE).num_rows:
        raise BenchmarkError(f"{answers}: not one image; every prompt is too long for the model")
    return int(recipe_of(answers).settings["image_sampling"]["images_per_prompt"])


def why_missing(answers: Path) -> dict[tuple[int, int], str]:
    """Why images are not there, by the indices of prompt and sample; of the others the prompt is too long."""
    if not (answers / REJECTED_FILE).exists():
        return {}
    rows = pq.read_table(answers / REJECTED_FILE).to_pylist()
    indices = (tuple(map(int, row["sample_id"].split("-"))) for row in rows)
    return {
        (prompt, sample): f"{row['reason']}: {row['detail']}"
        for (prompt, sample), row in zip(indices, rows, strict=True)
    }


def decoded(image: bytes) -> np.ndarray:
    """A stored image, uint8 (height, width, 3)."""
    return np.asarray(Image.open(io.BytesIO(image)).convert("RGB"))
