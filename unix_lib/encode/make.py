"""The `encode` stage: a source's records in, the same records with image codes out.

Work is cut into chunks of rows; each finished chunk's codes are kept in an undeclared work folder beside the artefact,
so a killed job continues after its last whole chunk. Within a chunk an image that several records show is encoded once.
Chunks don't depend on each other, so an interrupted job gives the same bytes as an undisturbed one.
"""

import hashlib
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unix_lib.artefacts.files import atomic_path
from unix_lib.artefacts.manifest import Manifest
from unix_lib.config.tokenizers import MOST_CODES
from unix_lib.images.pixels import UnreadableImageError, pixels_from_rgb, rgb_from_bytes
from unix_lib.jobs.job import Job
from unix_lib.records.rejected import RejectedSamples
from unix_lib.records.schema import ENCODED_RECORD, IMAGE_TEXT
from unix_lib.records.shards import SPLITS, ShardWriter, Split, count_rows, iterate_batches
from unix_lib.tokenizers.image import ImageTokenizer, device_of, load_image_tokenizer
from unix_lib.tokenizers.vqgan import ImageTokenizerError

logger = logging.getLogger(__name__)

CHUNK_ROWS = 2048  # at 512 px a chunk is about 1.6 GB of pixels on its way through, a batch at a time
LOG_SECONDS = 5.0
# What one row of a chunk becomes: codes, or the reason why there are none; all null for a record without image.
CHUNK = pa.schema(
    [pa.field("image_codes", pa.list_(pa.uint16())), pa.field("reason", pa.string()), pa.field("detail", pa.string())]
)


def make_encoding(job: Job) -> Manifest:
    """Make `encode/<source>`: both splits, unreadable images set aside.

    Raises:
        ImageTokenizerError: the tokenizer has more codes than a record can store.
    """
    source = job.input("source")
    tokenizer = load_image_tokenizer(job.input("image_tokenizer"), device_of(job.execution))
    require_storable(tokenizer.codebook_size)
    work = job.work
    progress = Progress(sum(count_rows(source, split) for split in SPLITS))
    rejected = RejectedSamples()
    code_counts = np.zeros(tokenizer.codebook_size, np.int64)
    files: dict[str, int | None] = {}
    for split in SPLITS:
        with ShardWriter(job.folder, split, ENCODED_RECORD) as writer:
            for rows, codes, first_row in encoded_chunks(
                source, split, tokenizer, work, batch_size=job.execution["batch_size"], progress=progress
            ):
                writer.write_table(with_codes(rows, codes, rejected, origin=f"{split} row", first_row=first_row))
                flat = codes["image_codes"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
                code_counts += np.bincount(flat, minlength=len(code_counts))
        files |= writer.files
    manifest = job.finish(
        {**files, **rejected.write(job.folder)},
        rejected=rejected.counts,
        facts={
            "images": int(code_counts.sum()) // tokenizer.codes_per_image,
            "codes_used": int((code_counts > 0).sum()),
            "codebook_size": tokenizer.codebook_size,
        },
        metrics={"images_encoded": progress.images, "images_per_second": round(progress.images_per_second, 1)},
    )
    job.clear_work()
    return manifest


def require_storable(codebook_size: int) -> None:
    """Refuse a codebook whose larger codes would wrap around in a record.

    Raises:
        ImageTokenizerError: says how many codes there may be.
    """
    if codebook_size > MOST_CODES:
        raise ImageTokenizerError(
            f"tokenizers.image.shape.codebook_size: {codebook_size} codes, and records store at most {MOST_CODES}; "
            f"set it to {MOST_CODES} or less"
        )


class Progress:
    """Counts rows and freshly encoded images, and says now and then how it goes."""

    def __init__(self, total_rows: int) -> None:
        self.total_rows, self.rows, self.images = total_rows, 0, 0
        self._skipped = 0  # rows that an earlier attempt had done
        self._started = self._logged = time.monotonic()

    @property
    def images_per_second(self) -> float:
        return self.images / max(1e-9, time.monotonic() - self._started)

    def advance(self, rows: int, images: int, *, skipped: bool = False) -> None:
        self.rows += rows
        self.images += images
        self._skipped += rows * skipped
        now = time.monotonic()
        if now - self._logged >= LOG_SECONDS or self.rows == self.total_rows:
            self._logged = now
            seconds = (now - self._started) / max(1, self.rows - self._skipped)
            logger.info(
                "encode: %d of %d records, %.0f images/s, %.0f s left",
                self.rows,
                self.total_rows,
                self.images_per_second,
                seconds * (self.total_rows - self.rows),
            )


def encoded_chunks(
    source: Path, split: Split, tokenizer: ImageTokenizer, work: Path, *, batch_size: int, progress: Progress
) -> Iterator[tuple[pa.RecordBatch, pa.Table, int]]:
    """A split chunk by chunk: its rows, their codes (schema CHUNK), and the first row's number."""
    first_row = 0
    for index, rows in enumerate(iterate_batches(source, split, batch_rows=CHUNK_ROWS)):
        path = work / f"{split}-{index:06d}.parquet"
        if path.is_file():
            codes = pq.read_table(path)
            progress.advance(len(rows), 0, skipped=True)
        else:
            codes = encode_images(rows["image"].to_pylist(), tokenizer, batch_size, progress)
            with atomic_path(path) as temporary:
                pq.write_table(codes, temporary, compression="zstd")
        yield rows, codes, first_row
        first_row += len(rows)


def encode_images(
    images: list[bytes | None], tokenizer: ImageTokenizer, batch_size: int, progress: Progress
) -> pa.Table:
    """Codes of stored images, equal ones encoded once.

    Args:
        images: PNG or JPEG bytes, None where a record has no image.
        tokenizer: what encodes.
        batch_size: images a forward pass.
        progress: told after each batch.

    Returns:
        schema CHUNK, a row per entry of `images`.
    """
    keys = [None if data is None else hashlib.sha256(data).digest() for data in images]
    different = {key: data for key, data in zip(keys, images, strict=True) if key is not None}
    codes: dict[bytes, np.ndarray] = {}
    faults: dict[bytes, UnreadableImageError] = {}
    pending: list[tuple[bytes, np.ndarray]] = []

    def run() -> None:
        if pending:
            batch = tokenizer.encode(pixels_from_rgb(np.stack([rgb for _, rgb in pending]))).numpy().astype(np.uint16)
            codes.update(zip((key for key, _ in pending), batch, strict=True))
            progress.advance(0, len(pending))
            pending.clear()

    for key, data in different.items():
        try:
            pending.append((key, rgb_from_bytes(data, tokenizer.image_size)))
        except UnreadableImageError as error:
            faults[key] = error
        if len(pending) == batch_size:
            run()
    run()
    progress.advance(len(images), 0)
    reasons = [faults.get(key) if key is not None else None for key in keys]
    return pa.table(
        [
            pa.array([None if key is None else codes.get(key) for key in keys], CHUNK.field("image_codes").type),
            pa.array([fault and fault.reason for fault in reasons], pa.string()),
            pa.array([fault and fault.detail for fault in reasons], pa.string()),
        ],
        schema=CHUNK,
    )


def with_codes(
    rows: pa.RecordBatch, codes: pa.Table, rejected: RejectedSamples, *, origin: str, first_row: int
) -> pa.Table:
    """Rows (SOURCE_RECORD) and their codes (CHUNK) as ENCODED_RECORD; rows whose image has no codes are set aside."""
    keep = np.ones(len(rows), bool)
    kinds, names = rows["kind"].to_pylist(), rows["sample_id"].to_pylist()
    have_codes = codes["image_codes"].is_valid().to_pylist()
    for index, (reason, detail) in enumerate(
        zip(codes["reason"].to_pylist(), codes["detail"].to_pylist(), strict=True)
    ):
        if reason is None and kinds[index] == IMAGE_TEXT and not have_codes[index]:
            reason, detail = "no image", "an image_text record without image"  # noqa: PLW2901
        if reason is not None:
            keep[index] = False
            rejected.add(names[index], f"{origin} {first_row + index}", reason, detail)
    table = pa.Table.from_batches([rows]).drop_columns(["image"])
    table = table.append_column("image_codes", codes["image_codes"]).select(ENCODED_RECORD.names)
    return table.filter(pa.array(keep)).cast(ENCODED_RECORD)
