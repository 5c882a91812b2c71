"""The `digits` source: the 1,797 scans of handwritten digits that scikit-learn ships, real images without a download.

Source: UCI "Optical Recognition of Handwritten Digits" (its test set), 8x8 pixels with values 0..16, here dark ink on
white, enlarged with Lanczos.
"""

import hashlib
import io
from typing import Any

import numpy as np
from PIL import Image

from unix_lib.artefacts.manifest import Manifest
from unix_lib.jobs.job import Job
from unix_lib.records.rejected import RejectedSamples
from unix_lib.records.schema import IMAGE_TEXT, SOURCE_RECORD
from unix_lib.records.shards import SPLITS, ShardWriter
from unix_lib.sources.split import choose_held_out_keys

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
FULL_INK = 16.0  # largest value of a scan


def enlarge(scan: np.ndarray, image_size: int) -> Image.Image:
    """A scan, float (8, 8) in 0..16, as an RGB image of side `image_size`."""
    ink = np.clip(np.asarray(scan) / FULL_INK, 0, 1)
    gray = Image.fromarray(np.round(255 * (1 - ink)).astype(np.uint8), "L")
    return gray.resize((image_size, image_size), Image.Resampling.LANCZOS).convert("RGB")


def make_digits(job: Job) -> Manifest:
    """Make a `digits` source."""
    from sklearn.datasets import load_digits

    settings, name = job.settings, job.recipe.name
    data = load_digits()
    scans, labels = data.images, data.target
    keys = [hashlib.sha256(scan.tobytes()).hexdigest() for scan in scans]
    held_out = choose_held_out_keys(keys, settings["heldout_share"], settings["seed"], name)
    files: dict[str, int | None] = {}
    facts: dict[str, Any] = {"scans_sha256": hashlib.sha256(scans.tobytes() + labels.tobytes()).hexdigest()}
    size = settings["image_size"]
    for split in SPLITS:
        with ShardWriter(job.folder, split, SOURCE_RECORD) as writer:
            for index, (scan, label, key) in enumerate(zip(scans, labels, keys, strict=True)):
                if (key in held_out) == (split == "heldout"):
                    buffer = io.BytesIO()
                    enlarge(scan, size).save(buffer, format="PNG")
                    writer.write(
                        {
                            "sample_id": f"{index:04d}",
                            "kind": IMAGE_TEXT,
                            "text": f"a photo of the digit {NAMES[label]}",
                            "image": buffer.getvalue(),
                            "width": size,
                            "height": size,
                            "source": name,
                        }
                    )
        files |= writer.files
        facts[f"{split}_records"] = writer.rows
    rejected = RejectedSamples()
    files |= rejected.write(job.folder)
    return job.finish(files, rejected=rejected.counts, facts=facts)
