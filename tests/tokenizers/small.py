"""A small VQGAN, images for it, and jobs of the image tokenizer."""

from pathlib import Path

import numpy as np

from tests.images.pictures import png
from tests.records.making import write_splits
from unix_lib.config.tokenizers import VQGANShape
from unix_lib.records.schema import IMAGE
from unix_lib.tokenizers.trained_vqgan import VQGANTraining

SHAPE = VQGANShape(
    codebook_size=16,
    image_size=8,
    embedding_width=4,
    latent_width=8,
    base_channels=32,
    channel_multipliers=[1, 1],
    residual_blocks=1,
    attention=False,
)
TRAINING = VQGANTraining(shape=SHAPE, steps=20, batch_size=4, learning_rate=3e-3, commitment_weight=0.25, seed=11)


def blocks(count: int = 40) -> np.ndarray:
    """uint8 (count, 3, 8, 8): one of four colours, one of 16 places, on grey."""
    rng = np.random.default_rng(5)
    colors = np.array([[220, 20, 20], [20, 60, 220], [0, 150, 40], [250, 230, 0]], np.uint8)
    images = np.full((count, 3, 8, 8), 200, np.uint8)
    for image in images:
        y, x = rng.integers(0, 5, 2)
        image[:, y : y + 4, x : x + 4] = colors[rng.integers(4)][:, None, None]
    return images


def stored(images: np.ndarray) -> list[tuple[str, bytes]]:
    """Images uint8 (N, 3, S, S) as (id, PNG bytes), equal ones under one id."""
    data = [png(image) for image in images]
    return [(f"image-{data.index(one):03d}", one) for one in data]


def write_images(results: Path, name: str, train: list[tuple[str, bytes]], heldout: list[tuple[str, bytes]]) -> str:
    """A finished artefact of images, each id once; returns its name."""
    splits = [
        [{"image_id": image, "image": data, "width": 8, "height": 8} for image, data in dict(images).items()]
        for images in (train, heldout)
    ]
    return write_splits(results, f"sources/{name}-images", IMAGE, *splits)
