"""A small experiment on files of a user's own: rows with images, a folder with captions, prose."""

import copy
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from unix_lib.config import parse_experiment
from unix_lib.config.experiment import Experiment

SIDE, CODES, CODEBOOK = 16, 16, 24
SHAPE = {
    **{"codebook_size": CODEBOOK, "image_size": SIDE, "embedding_width": 8, "latent_width": 8, "base_channels": 32},
    **{"channel_multipliers": [1, 1, 1], "residual_blocks": 1, "attention": False},
}
CONFIG: dict[str, Any] = {
    "experiment": "small",
    "sources": {
        "talks": {"kind": "finevision", "files": ["data/talks/*.parquet"]},
        "photos": {
            **{"kind": "image_folder", "folder": "data/photos", "captions": "data/photos.jsonl", "image_size": SIDE}
        },
    },
    "tokenizers": {
        "text": {"kind": "train_bpe", "vocabulary_size": 300, "sources": ["talks", "photos"]},
        "image": {"kind": "train_vqgan", "shape": SHAPE, "sources": ["photos"], "steps": 1, "batch_size": 2},
    },
    "pack": {"length": 128, "mixtures": {"mixed": {"parts": [{"source": "talks"}, {"source": "photos"}]}}},
}


def config(**sections: Any) -> dict[str, Any]:
    """The values of the config, with sections of their own."""
    return copy.deepcopy(CONFIG) | sections


def experiment(values: dict[str, Any] | None = None) -> Experiment:
    return parse_experiment(values or config(), "test", Path())


def picture(number: int, form: str = "PNG") -> bytes:
    """An image file, each number another one, 20 x 24 pixels."""
    pixels = np.random.default_rng(number).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    stored = io.BytesIO()
    Image.fromarray(pixels).save(stored, form)
    return stored.getvalue()


def talk(number: int, *, question: str = "What is it?", answer: str = "A pattern.") -> dict[str, Any]:
    """A row in FineVision's layout."""
    texts = [{"user": question, "assistant": answer}]
    return {"images": [{"bytes": picture(number), "path": None}], "texts": texts}


def write_talks(rows: list[dict[str, Any]], name: str = "a") -> None:
    path = Path("data/talks") / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def write_photos(count: int) -> None:
    folder = Path("data/photos")
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        (folder / f"{number}.png").write_bytes(picture(1000 + number))
        rows.append({"image": f"{number}.png", "caption": f"pattern number {number}"})
    Path("data/photos.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_all(count: int = 40) -> None:
    """The data of the config below the working folder."""
    write_talks([talk(number) for number in range(count)])
    write_photos(count)
