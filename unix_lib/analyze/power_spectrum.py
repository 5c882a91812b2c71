"""The radial power spectrum of images as the image tokenizer gets them, beside that of two photographs.

Natural images have a power that falls with about the square of frequency (Field 1987). The photographs are those that
scikit-learn ships, cut into pieces of the same size at several reductions.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from unix_lib.analyze.power_spectrum_kind import PowerSpectrumSettings
from unix_lib.artefacts.manifest import Manifest
from unix_lib.config.jobs import Execution
from unix_lib.encode.originals import originals_of
from unix_lib.evaluate.tables import write_table
from unix_lib.jobs.job import Job
from unix_lib.pack.sampled import sampled_rows, some_parts, split_looked_at
from unix_lib.records.schema import Row
from unix_lib.tokenizers.image import device_of, load_image_tokenizer

TABLE = "power_spectrum.parquet"
REDUCTIONS = (2, 4, 8)  # of a photograph's side; unreduced it shows what JPEG made of it
SPECTRUM = pa.schema(
    [
        pa.field("source", pa.string()),
        pa.field("photograph", pa.bool_()),
        pa.field("images", pa.int64()),
        pa.field("frequency", pa.int64()),  # cycles per side of an image
        pa.field("power", pa.float64()),  # mean over the ring and the images, relative to the sum over rings
    ]
)


def make_power_spectrum(job: Job[PowerSpectrumSettings, Execution]) -> Manifest:
    """Make `analyze/power_spectrum`."""
    size = load_image_tokenizer(job.input("image_tokenizer"), device_of(job.shape)).image_size
    images, rows, rejected = job.roles("images"), list[Row](), dict[str, int]()
    for source, codes in job.roles("codes").items():
        parts, split = some_parts(len(codes)), split_looked_at(codes)
        names = sampled_rows([codes[part] for part in parts], split, ["image_id"], job.settings.images)
        chosen = names["image_id"].to_pylist()
        pixels = originals_of([images[source][part] for part in parts], chosen, [split], size, rejected)
        rows += _rows(source, [pixels[name] for name in chosen if name in pixels])
    for name, photograph in photographs():
        rows += _rows(name, list(pieces(photograph, size)), photograph=True)
    files: dict[str, int | None] = {TABLE: write_table(rows, SPECTRUM, job.folder / TABLE)}
    return job.finish(files, rejected=rejected)


def _rows(source: str, images: list[np.ndarray], *, photograph: bool = False) -> Iterator[Row]:
    if images:
        of_images: Row = {"source": source, "photograph": photograph, "images": len(images)}
        for frequency, power in enumerate(radial_power(np.stack(images)), 1):
            yield of_images | {"frequency": frequency, "power": float(power)}


def radial_power(images: np.ndarray) -> np.ndarray:
    """Relative power at 1, 2 ... S/2 cycles a side, float64 (S // 2,), of brightness under a Hann window.

    Args:
        images: uint8 (N, S, S, 3).
    """
    size = images.shape[1]
    window = np.outer(np.hanning(size), np.hanning(size))
    brightness = images.mean(axis=-1)
    centred = (brightness - brightness.mean(axis=(1, 2), keepdims=True)) * window
    power = (np.abs(np.fft.fft2(centred)) ** 2).mean(axis=0)
    cycles = np.fft.fftfreq(size, 1 / size)
    ring = np.rint(np.hypot(cycles[:, None], cycles)).astype(int)
    radial = np.array([power[ring == frequency].mean() for frequency in range(1, size // 2 + 1)])
    return np.asarray(radial / max(radial.sum(), 1e-12))


def photographs() -> Iterator[tuple[str, np.ndarray]]:
    """Name and pixels, uint8 (H, W, 3), of the photographs that scikit-learn ships."""
    from sklearn.datasets import load_sample_images

    shipped = load_sample_images()
    for path, image in zip(shipped.filenames, shipped.images, strict=True):
        yield Path(path).stem, image


def pieces(photograph: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Squares uint8 (S, S, 3) of a photograph, side by side, of its means over 2, 4 and 8 pixels a side."""
    for factor in REDUCTIONS:
        high, wide = (side // factor for side in photograph.shape[:2])
        cut = photograph[: high * factor, : wide * factor].reshape(high, factor, wide, factor, 3)
        reduced = np.rint(cut.mean(axis=(1, 3))).astype(np.uint8)
        for top in range(0, high - size + 1, size):
            for left in range(0, wide - size + 1, size):
                yield reduced[top : top + size, left : left + size]
