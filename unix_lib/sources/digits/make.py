"""Makes a `digits` source: scikit-learn's 1,797 scans of handwritten digits, real images without a download.

Source: UCI "Optical Recognition of Handwritten Digits" (its test set), 8x8 pixels with values 0..16, here dark ink on
white, enlarged with Lanczos.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Digit:
    """One scan: its number in the set, its pixels enlarged, uint8 (S, S, 3), and the digit that it shows."""

    index: int
    rgb: np.ndarray
    label: int


class Digits:
    """The scans, split by what they show: copies of a scan stand on the same side."""

    def __init__(self, settings: PlannedDigits) -> None:
        from sklearn.datasets import load_digits

        data = load_digits()
        self._scans, self._labels, self._settings = data.images, data.target, settings
        self.sha256 = hashlib.sha256(self._scans.tobytes() + self._labels.tobytes()).hexdigest()

    def of(self, split: Split) -> Iterator[Digit]:
        """The digits of a split in the order of the set."""
        for index, (scan, label) in enumerate(zip(self._scans, self._labels, strict=True)):
            rgb = enlarge(scan, self._settings.image_size)
            if self._settings.held_out.holds_out(image_id(rgb)) == (split == "heldout"):
                yield Digit(index, rgb, int(label))


def enlarge(scan: np.ndarray, image_size: int) -> np.ndarray:
    """A scan, float (8, 8) in 0..16, as uint8 (image_size, image_size, 3), RGB."""
    ink = np.clip(np.asarray(scan) / FULL_INK, 0, 1)
    gray = Image.fromarray(np.round(255 * (1 - ink)).astype(np.uint8), "L")
    return np.asarray(gray.resize((image_size, image_size), Image.Resampling.LANCZOS).convert("RGB"))


def make_images(job: Job[PlannedDigits, Execution]) -> Manifest:
    """Make `sources/<source>-images`: the enlarged scans of both splits, each different image once."""
    digits = Digits(job.settings)
    files, facts = write_images(job.folder, lambda split: (digit.rgb for digit in digits.of(split)))
    return finish(job, files, facts | {"scans_sha256": digits.sha256})


def make_records(job: Job[PlannedDigits, Execution]) -> Manifest:
    """Make `sources/<source>`: a caption for every scan."""
    digits = Digits(job.settings)

    def rows_of(split: Split) -> Iterator[Row]:
        for digit in digits.of(split):
            yield {
                "sample_id": f"{digit.index:04d}",
                "kind": IMAGE_TEXT,
                "text": f"a photo of the digit {NAMES[digit.label]}",
                "image_id": image_id(digit.rgb),
                "source": job.recipe.name,
            }

    files, facts = write_records(job.folder, rows_of)
    return finish(job, files, facts | {"scans_sha256": digits.sha256})
