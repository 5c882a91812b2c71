"""Encodes a source's images into codes: makes `encode/<source>`."""

import logging
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unix_lib.artefacts.manifest import Manifest
from unix_lib.config.encode import EncodeExecution, EncodeSettings
from unix_lib.config.tokenizers import MOST_CODES
from unix_lib.encode.chunks import ChunkEncoder, Encoder
from unix_lib.jobs.job import Job
from unix_lib.jobs.progress import Progress
from unix_lib.records.codes import judged_codes
from unix_lib.records.rejected import RejectedSamples
from unix_lib.records.schema import CODES
from unix_lib.records.shards import SPLITS, ShardWriter, Split, iterate_batches
from unix_lib.sources.in_place.reading import Images
from unix_lib.sources.screening.screened import screened_out
from unix_lib.tokenizers.image import devices_of, exact_convolutions, load_image_tokenizer
from unix_lib.tokenizers.vqgan import ImageTokenizerError

logger = logging.getLogger(__name__)


def make_codes(job: Job[EncodeSettings, EncodeExecution]) -> Manifest:
    """Make `encode/<source>`: codes of the images of both splits, unreadable ones set aside.

    Raises:
        ImageTokenizerError: the tokenizer has more codes than 16 bits hold.
    """
    folder, precision, compiled = job.input("image_tokenizer"), job.settings.precision, job.execution.compiled
    devices = devices_of(job.shape)
    with exact_convolutions():
        return write_codes(job, [load_image_tokenizer(folder, one, precision, compiled=compiled) for one in devices])


def write_codes(job: Job[EncodeSettings, EncodeExecution], encoders: Sequence[Encoder]) -> Manifest:
    """Make it with a tokenizer, the same on each device, that need not be an input; raises what `make_codes` does."""
    tokenizer = encoders[0]
    require_storable(tokenizer.codebook_size)
    images = Images(job.input("images"), tokenizer.image_size, screened_out(job.inputs("screening")))
    progress = Progress(images.count(), "images", logger)
    chunks = ChunkEncoder(images, encoders, job, progress)
    rejected = RejectedSamples()
    code_counts = np.zeros(tokenizer.codebook_size, np.int64)
    rows: dict[Split, int] = dict.fromkeys(SPLITS, 0)
    writers: dict[Split, ShardWriter] = {split: ShardWriter(job.folder, split, CODES) for split in SPLITS}
    with writers["train"], writers["heldout"]:
        for of_chunk in chunks.chunks():
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
        metrics={
            "images_encoded": chunks.encoded,
            "images_taken_over": chunks.taken_over,
            "images_per_second": round(chunks.encoded / progress.seconds, 1),
        },
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
