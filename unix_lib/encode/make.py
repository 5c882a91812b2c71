"""Encodes a source's images into codes.

Work is cut into chunks of images. Each finished chunk's codes are kept, sealed, in an undeclared work folder beside the
artefact, so that a killed job continues after its last whole chunk. Chunks don't depend on each other, so an
interrupted job gives the same bytes as an undisturbed one.
"""

import logging
import time
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

from unix_lib.artefacts.manifest import Manifest
from unix_lib.artefacts.sealed import is_whole, sealed_folder
from unix_lib.config.encode import EncodeSettings
from unix_lib.config.jobs import BatchedExecution
from unix_lib.config.tokenizers import MOST_CODES
from unix_lib.images.files import BadImage
from unix_lib.images.pixels import pixels_from_rgb
from unix_lib.jobs.job import Job
from unix_lib.records.codes import judged_codes
from unix_lib.records.rejected import RejectedSamples
from unix_lib.records.schema import CODES
from unix_lib.records.shards import SPLITS, ShardWriter, Split, iterate_batches
from unix_lib.sources.in_place.reading import Chunk, Images
from unix_lib.tokenizers.image import device_of, load_image_tokenizer
from unix_lib.tokenizers.vqgan import ImageTokenizerError

logger = logging.getLogger(__name__)

CHUNK_IMAGES = 2048  # at 512 px a chunk is about 1.6 GB of pixels on its way through, a batch at a time
LOG_SECONDS = 5.0
# What one image of a chunk becomes: codes, or the reason why there are none.
CHUNK = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("image_codes", pa.list_(pa.uint16())),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
    ]
)
CHUNK_FILE = "codes.parquet"


class Encoder(Protocol):
    """What encodes: C codes of an image of S pixels a side."""

    @property
    def image_size(self) -> int: ...
    @property
    def codebook_size(self) -> int: ...
    @property
    def codes_per_image(self) -> int: ...
    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels float32 (B, 3, S, S) in [-1, 1] to codes int64 (B, C), on the CPU."""


def make_codes(job: Job[EncodeSettings, BatchedExecution]) -> Manifest:
    """Make `encode/<source>`: codes of the images of both splits, unreadable ones set aside.

    Raises:
        ImageTokenizerError: the tokenizer has more codes than 16 bits hold.
    """
    return write_codes(job, load_image_tokenizer(job.input("image_tokenizer"), device_of(job.shape)))


def write_codes(job: Job[EncodeSettings, BatchedExecution], tokenizer: Encoder) -> Manifest:
    """Make it with a tokenizer that need not be one of the job's inputs; raises what `make_codes` does."""
    require_storable(tokenizer.codebook_size)
    images = Images(job.input("images"), tokenizer.image_size)
    progress = Progress(images.count())
    rejected = RejectedSamples()
    code_counts = np.zeros(tokenizer.codebook_size, np.int64)
    rows: dict[Split, int] = dict.fromkeys(SPLITS, 0)
    writers: dict[Split, ShardWriter] = {split: ShardWriter(job.folder, split, CODES) for split in SPLITS}
    with writers["train"], writers["heldout"]:
        for of_chunk in encoded_chunks(images, tokenizer, job, progress):
            for split in SPLITS:
                chunk = of_chunk.filter(pc.equal(of_chunk["split"], split))
                if not chunk.num_rows:
                    continue
                for index, row in enumerate(chunk.select(["image_id", "reason", "detail"]).to_pylist()):
                    if row["reason"] is not None:
                        rejected.add(
                            row["image_id"], f"{split} row {rows[split] + index}", row["reason"], row["detail"]
                        )
                writers[split].write_table(chunk.filter(chunk["image_codes"].is_valid()))
                flat = chunk["image_codes"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
                code_counts += np.bincount(flat, minlength=len(code_counts))
                rows[split] += chunk.num_rows
        for split in SPLITS:
            code_counts += given_codes(images, split, tokenizer, writers[split], rejected)
    files: dict[str, int | None] = {name: count for split in SPLITS for name, count in writers[split].files.items()}
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
    images: Images, tokenizer: Encoder, job: Job[EncodeSettings, BatchedExecution], progress: Progress
) -> Iterator[pa.Table]:
    """The codes of all images, chunk by chunk (schema CHUNK); what an earlier attempt left whole is read back."""
    for index, chunk in enumerate(images.chunks(CHUNK_IMAGES)):
        kept = job.work / f"chunk-{index:06d}"
        if is_whole(kept):
            progress.advance(len(chunk.ids), skipped=len(chunk.ids))
        else:
            codes = encode_images(images, chunk, tokenizer, job, progress)
            with sealed_folder(kept) as folder:
                pq.write_table(codes, folder / CHUNK_FILE, compression="zstd")
        yield pq.read_table(kept / CHUNK_FILE)


def given_codes(
    images: Images, split: Split, tokenizer: Encoder, writer: ShardWriter, rejected: RejectedSamples
) -> np.ndarray:
    """Take over codes that came with their source; how often each code is used, int64 (K,)."""
    counts = np.zeros(tokenizer.codebook_size, np.int64)
    for batch in iterate_batches(images.given, split) if images.given.is_dir() else ():
        good, codes, faults = judged_codes(batch, tokenizer.codes_per_image, tokenizer.codebook_size)
        for name in batch["image_id"].to_pylist():
            if name in faults:
                rejected.add(name, f"{split}, given codes", *faults[name])
        counts += np.bincount(codes.ravel(), minlength=len(counts))
        writer.write_table(pa.Table.from_batches([batch.filter(pa.array(good))]))
    return counts


def encode_images(
    images: Images,
    chunk: Chunk,
    tokenizer: Encoder,
    job: Job[EncodeSettings, BatchedExecution],
    progress: Progress,
) -> pa.Table:
    """Codes of a chunk's images, `batch_size` a forward pass; decoded in as many threads as the job has.

    Returns:
        schema CHUNK, a row per image.
    """
    codes: list[np.ndarray | None] = [None] * len(chunk.ids)
    faults: list[BadImage | None] = [None] * len(chunk.ids)
    pending: list[tuple[int, np.ndarray]] = []
    batch_size = job.execution.batch_size

    def run() -> None:
        if pending:
            batch = tokenizer.encode(pixels_from_rgb(np.stack([rgb for _, rgb in pending]))).numpy().astype(np.uint16)
            for (index, _), of_image in zip(pending, batch, strict=True):
                codes[index] = of_image
            progress.advance(len(pending), encoded=len(pending))
            pending.clear()

    for index, rgb in enumerate(images.decoded(chunk.data, job.shape.threads)):
        if isinstance(rgb, BadImage):
            faults[index] = rgb
            logger.info("image %s: %s (%s)", chunk.ids[index], rgb, rgb.__cause__)
            progress.advance(1)
        else:
            pending.append((index, rgb))
        if len(pending) == batch_size:
            run()
    run()
    return pa.table(
        [
            pa.array(chunk.ids, pa.string()),
            pa.array(chunk.splits, pa.string()),
            pa.array(codes, CHUNK.field("image_codes").type),
            pa.array([fault and fault.reason for fault in faults], pa.string()),
            pa.array([fault and fault.detail for fault in faults], pa.string()),
        ],
        schema=CHUNK,
    )
