"""Makes a `digits` source: scikit-learn's 1,797 scans of handwritten digits, real images without a download.

Source: UCI "Optical Recognition of Handwritten Digits" (its test set), 8x8 pixels with values 0..16, here dark ink on
white, enlarged with Lanczos.
"""

import hashlib
from collections.abc import Iterator
from functools import cache

import numpy as np
from PIL import Image

from unix_lib.artefacts.manifest import Manifest
from unix_lib.config.jobs import Execution
from unix_lib.images.files import image_id
from unix_lib.jobs.job import Job
from unix_lib.records.schema import IMAGE_TEXT, Row
from unix_lib.records.shards import Split
from unix_lib.sources.digits.kind import PlannedDigits
from unix_lib.sources.writing import finish, write_images, write_records

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
FULL_INK = 16.0  # largest value of a scan


@cache
def scans() -> tuple[np.ndarray, np.ndarray, str]:
    """The scans, float64 (N, 8, 8), the digits that they show, int64 (N,), and the SHA-256 of both."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return data.images, data.target, hashlib.sha256(data.images.tobytes() + data.target.tobytes()).hexdigest()


def digits_of(split: Split, settings: PlannedDigits) -> Iterator[tuple[int, np.ndarray, int]]:
    """Number in the set, pixels enlarged, uint8 (S, S, 3), and digit of a split's scans, in the order of the set.

    They are split by what they show: copies of a scan stand on the same side.
    """
    images, labels, _ = scans()
    for index, (scan, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        rgb = enlarge(scan, settings.image_size)
        if settings.held_out.holds_out(image_id(rgb)) == (split == "heldout"):
            yield index, rgb, label


def enlarge(scan: np.ndarray, image_size: int) -> np.ndarray:
    """A scan, float (8, 8) in 0..16, as uint8 (image_size, image_size, 3), RGB."""
    ink = np.clip(np.asarray(scan) / FULL_INK, 0, 1)
    gray = Image.fromarray(np.round(255 * (1 - ink)).astype(np.uint8), "L")
    return np.asarray(gray.resize((image_size, image_size), Image.Resampling.LANCZOS).convert("RGB"))


def make_images(job: Job[PlannedDigits, Execution]) -> Manifest:
    """Make `sources/<source>-images`: the enlarged scans of both splits, each different image once."""
    files, facts = write_images(job.folder, lambda split: (rgb for _, rgb, _ in digits_of(split, job.settings)))
    return finish(job, files, facts | {"scans_sha256": scans()[2]})


def make_records(job: Job[PlannedDigits, Execution]) -> Manifest:
    """Make `sources/<source>`: a caption for every scan."""

    def rows_of(split: Split) -> Iterator[Row]:
        for index, rgb, label in digits_of(split, job.settings):
            yield {
                "sample_id": f"{index:04d}",
                "kind": IMAGE_TEXT,
                "text": f"a photo of the digit {NAMES[label]}",
                "image_ids": [image_id(rgb)],
                "source": job.recipe.name,
            }

    files, facts = write_records(job.folder, rows_of)
    return finish(job, files, facts | {"scans_sha256": scans()[2]})
