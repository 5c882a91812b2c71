"""Encodes a source's images into codes.

Work is cut into chunks of images. Each finished chunk's codes are kept, sealed, in an undeclared work folder beside the
artefact, so that a killed job continues after its last whole chunk. Chunks don't depend on each other, so an
interrupted job gives the same bytes as an undisturbed one.
"""

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unix_lib.artefacts.manifest import Manifest
from unix_lib.artefacts.sealed import is_whole, sealed_folder
from unix_lib.config.encode import EncodeSettings
from unix_lib.config.jobs import BatchedExecution
from unix_lib.config.tokenizers import MOST_CODES
from unix_lib.images.files import BadImage
from unix_lib.images.pixels import pixels_from_rgb, rgb_from_bytes
from unix_lib.jobs.job import Job
from unix_lib.records.rejected import RejectedSamples
from unix_lib.records.schema import CODES
from unix_lib.records.shards import SPLITS, ShardWriter, Split, count_rows, iterate_batches
from unix_lib.tokenizers.image import ImageTokenizer, device_of, load_image_tokenizer
from unix_lib.tokenizers.vqgan import ImageTokenizerError

logger = logging.getLogger(__name__)

CHUNK_IMAGES = 2048  # at 512 px a chunk is about 1.6 GB of pixels on its way through, a batch at a time
LOG_SECONDS = 5.0
# What one image of a chunk becomes: codes, or the reason why there are none.
CHUNK = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("image_codes", pa.list_(pa.uint16())),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
    ]
)
CHUNK_FILE = "codes.parquet"


def make_codes(job: Job[EncodeSettings, BatchedExecution]) -> Manifest:
    """Make `encode/<source>`: codes of the images of both splits, unreadable ones set aside.

    Raises:
        ImageTokenizerError: the tokenizer has more codes than 16 bits hold.
    """
    images = job.input("images")
    tokenizer = load_image_tokenizer(job.input("image_tokenizer"), device_of(job.shape))
    require_storable(tokenizer.codebook_size)
    progress = Progress(sum(count_rows(images, split) for split in SPLITS))
    rejected = RejectedSamples()
    code_counts = np.zeros(tokenizer.codebook_size, np.int64)
    files: dict[str, int | None] = {}
    for split in SPLITS:
        first_row = 0
        with ShardWriter(job.folder, split, CODES) as writer:
            for chunk in encoded_chunks(
                images, split, tokenizer, job.work, batch_size=job.execution.batch_size, progress=progress
            ):
                for index, row in enumerate(chunk.select(["image_id", "reason", "detail"]).to_pylist()):
                    if row["reason"] is not None:
                        rejected.add(row["image_id"], f"{split} row {first_row + index}", row["reason"], row["detail"])
                writer.write_table(chunk.filter(chunk["image_codes"].is_valid()))
                flat = chunk["image_codes"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
                code_counts += np.bincount(flat, minlength=len(code_counts))
                first_row += chunk.num_rows
        files |= writer.files
    manifest = job.finish(
        {**files, **rejected.write(job.folder)},
        rejected=rejected.counts,
        facts={
            "images": int(code_counts.sum()) // tokenizer.codes_per_image,
            "codes_used": int((code_counts > 0).sum()),
            "codebook_size": tokenizer.codebook_size,
        },
        metrics={"images_encoded": progress.encoded, "images_per_second": round(progress.images_per_second, 1)},
    )
    job.clear_work()
    return manifest


def require_storable(codebook_size: int) -> None:
    """Refuse a codebook whose larger codes would wrap around in 16 bits.

    Raises:
        ImageTokenizerError: says how many codes there may be.
    """
    if codebook_size > MOST_CODES:
        raise ImageTokenizerError(
            f"tokenizers.image.shape.codebook_size: {codebook_size} codes, and at most {MOST_CODES} can be stored; set "
            f"it to {MOST_CODES} or less"
        )


class Progress:
    """Counts images, and says now and then how it goes."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.encoded = total, 0, 0
        self._skipped = 0  # images that an earlier attempt had done
        self._started = self._logged = time.monotonic()

    @property
    def images_per_second(self) -> float:
        return self.encoded / max(1e-9, time.monotonic() - self._started)

    def advance(self, images: int, *, encoded: int = 0, skipped: int = 0) -> None:
        self.done += images
        self.encoded += encoded
        self._skipped += skipped
        now = time.monotonic()
        if now - self._logged >= LOG_SECONDS or self.done == self.total:
            self._logged = now
            seconds = (now - self._started) / max(1, self.done - self._skipped)
            logger.info(
                "encode: %d of %d images, %.0f images/s, %.0f s left",
                self.done,
                self.total,
                self.images_per_second,
                seconds * (self.total - self.done),
            )


def encoded_chunks(
    images: Path,
    split: Split,
    tokenizer: ImageTokenizer,
    work: Path,
    *,
    batch_size: int,
    progress: Progress,
) -> Iterator[pa.Table]:
    """The codes of a split, chunk by chunk (schema CHUNK); what an earlier attempt left whole is read back."""
    for index, rows in enumerate(iterate_batches(images, split, ["image_id", "image"], batch_rows=CHUNK_IMAGES)):
        kept = work / f"{split}-{index:06d}"
        if is_whole(kept):
            progress.advance(len(rows), skipped=len(rows))
        else:
            codes = encode_images(rows, tokenizer, batch_size, progress)
            with sealed_folder(kept) as folder:
                pq.write_table(codes, folder / CHUNK_FILE, compression="zstd")
        yield pq.read_table(kept / CHUNK_FILE)


def encode_images(rows: pa.RecordBatch, tokenizer: ImageTokenizer, batch_size: int, progress: Progress) -> pa.Table:
    """Codes of stored images, `batch_size` a forward pass.

    Args:
        rows: columns `image_id`, `image` (PNG or JPEG bytes).

    Returns:
        schema CHUNK, a row per image.
    """
    codes: list[np.ndarray | None] = [None] * len(rows)
    faults: list[BadImage | None] = [None] * len(rows)
    pending: list[tuple[int, np.ndarray]] = []

    def run() -> None:
        if pending:
            batch = tokenizer.encode(pixels_from_rgb(np.stack([rgb for _, rgb in pending]))).numpy().astype(np.uint16)
            for (index, _), of_image in zip(pending, batch, strict=True):
                codes[index] = of_image
            progress.advance(len(pending), encoded=len(pending))
            pending.clear()

    for index, data in enumerate(rows["image"].to_pylist()):
        try:
            pending.append((index, rgb_from_bytes(data, tokenizer.image_size)))
        except BadImage as error:
            faults[index] = error
            logger.info("image %s: %s (%s)", rows["image_id"][index], error, error.__cause__)
            progress.advance(1)
        if len(pending) == batch_size:
            run()
    run()
    return pa.table(
        [
            rows["image_id"],
            pa.array(codes, CHUNK.field("image_codes").type),
            pa.array([fault and fault.reason for fault in faults], pa.string()),
            pa.array([fault and fault.detail for fault in faults], pa.string()),
        ],
        schema=CHUNK,
    )
