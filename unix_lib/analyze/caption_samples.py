"""What a checkpoint draws of each source's held-out captions, beside the image that a caption belongs to.

The captions are a sample that nobody picked, the same for every checkpoint, and so is the seed of each image. Beside
the original stands what its codes give back: no model that speaks in these codes draws better. Nothing is scored.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unix_lib.analyze.caption_samples_kind import CaptionSamplesSettings
from unix_lib.artefacts.manifest import Facts, Manifest
from unix_lib.checkpoints.loaded import Checkpoint
from unix_lib.config.jobs import Execution
from unix_lib.encode.originals import Rejections, codes_of, originals_of
from unix_lib.evaluate.tables import ORIGIN, origin_of, write_table
from unix_lib.generate.benchmark_images import fits, generate_pixels, image_seed
from unix_lib.images.files import png_bytes
from unix_lib.jobs.job import Job
from unix_lib.pack.sampled import sampled_rows, some_parts, split_looked_at
from unix_lib.records.schema import CONVERSATION, IMAGE_TEXT, Row
from unix_lib.records.shards import Split
from unix_lib.tokenizers.coded_images import decode_images
from unix_lib.tokenizers.fidelity import psnr_db
from unix_lib.tokenizers.image import device_of

logger = logging.getLogger(__name__)

CAPTION_SAMPLES_TABLE = "caption_samples.parquet"
BATCH = 16  # images
SPARE = 4  # looked at for each caption that is wanted: some have no image, or are too long for a prompt
NO_CAPTION, NO_CODES, TOO_LONG = "no caption", "its image was not encoded", "too long for a prompt"
CAPTION_SAMPLES = pa.schema(
    [
        *ORIGIN,
        pa.field("source", pa.string()),
        pa.field("split", pa.string()),  # heldout, or train where a source holds nothing out
        pa.field("sample_id", pa.string()),
        pa.field("caption", pa.string()),
        pa.field("image_id", pa.string()),
        pa.field("psnr_db", pa.float64()),  # of the reconstruction; null where only codes came with the source
        pa.field("original", pa.binary()),  # PNG, null likewise
        pa.field("reconstruction", pa.binary()),
        pa.field("generated", pa.binary()),
    ]
)


def make_caption_samples(job: Job[CaptionSamplesSettings, Execution]) -> Manifest:
    """Make `analyze/caption_samples-<run>-step-<step>`; without a decoder there is nothing to draw with."""
    folder = job.input("checkpoint")
    device, wording = device_of(job.shape), job.settings.wording
    checkpoint = Checkpoint(folder, job.input("image_tokenizer"), BATCH, device, wording)
    images, codes, rows = job.roles("images"), job.roles("codes"), list[Row]()
    rejected: Rejections = {}
    if checkpoint.image_tokenizer.has_decoder:
        for source, records in job.roles("records").items():
            found = list(_captioned(checkpoint, records, images[source], codes[source], job.settings, rejected))
            rows += [{"source": source} | row for row in found]
            logger.info("'%s': %d captions", source, len(found))
    sampling, origin = job.settings.image_sampling, vars(origin_of(folder))
    captions = [row["caption"] for row in rows]
    seeds = [image_seed(sampling.seed, caption, 0, 0) for caption in captions]
    drawn = map(png_bytes, generate_pixels(checkpoint, captions, seeds, sampling) if rows else ())
    rows = [origin | row | {"generated": image} for row, image in zip(rows, drawn, strict=True)]
    written = write_table(rows, CAPTION_SAMPLES, job.folder / CAPTION_SAMPLES_TABLE)
    facts: Facts = {"decoder": checkpoint.image_tokenizer.has_decoder}
    return job.finish({CAPTION_SAMPLES_TABLE: written}, rejected=rejected, facts=facts)


def _captioned(  # noqa: PLR0917
    checkpoint: Checkpoint,
    records: list[Path],
    images: list[Path],
    codes: list[Path],
    settings: CaptionSamplesSettings,
    rejected: Rejections,
) -> Iterator[Row]:
    """A row for each caption of a source, with its image; what can't be asked of the model is counted by reason."""
    split, parts = split_looked_at(records), some_parts(len(records))
    if len(records) == len(images):  # a part of one is about the images of that part
        images, codes = ([of[part] for part in parts] for of in (images, codes))
    sample = _sample([records[part] for part in parts], split, SPARE * settings.captions)
    of_image = codes_of(codes, [record["image_ids"][0] for record in sample], [split])
    rows = list[Row]()
    for record in sample:
        (image_id,), caption = record["image_ids"], caption_of(record)
        fault = NO_CODES if image_id not in of_image else _fault(checkpoint, caption)
        if fault is not None:
            rejected[fault] = rejected.get(fault, 0) + 1
        elif len(rows) < settings.captions:
            rows.append({"sample_id": record["sample_id"], "caption": caption, "image_id": image_id})
    if not rows:
        return
    names = [row["image_id"] for row in rows]
    originals = originals_of(images, names, [split], checkpoint.image_tokenizer.image_size, rejected)
    decoded = decode_images(checkpoint.image_tokenizer, np.array([of_image[name] for name in names]))
    for row, reconstruction in zip(rows, decoded, strict=True):
        pictures: Row = {"reconstruction": png_bytes(reconstruction)}
        if (original := originals.get(row["image_id"])) is not None:
            error = reconstruction.astype(np.int64) - original
            pictures |= {"original": png_bytes(original)}
            pictures |= {"psnr_db": psnr_db(float(np.square(error).sum()), error.size)}
        yield {"split": split} | row | pictures


def _sample(records: list[Path], split: Split, count: int) -> list[Row]:
    """Records that show one image: with captions, or, where a source has none, conversations."""
    columns = ["sample_id", "kind", "text", "messages", "image_ids"]
    of_one_image = pc.list_value_length(pc.field("image_ids")) == 1
    for kind in (IMAGE_TEXT, CONVERSATION):
        where = of_one_image & (pc.field("kind") == kind)
        rows: list[Row] = sampled_rows(records, split, columns, count, where=where).to_pylist()
        if rows:
            return rows
    return []


def _fault(checkpoint: Checkpoint, caption: str) -> str | None:
    """Why a caption can't be asked of the model."""
    if not caption:
        return NO_CAPTION
    return None if fits(checkpoint, caption) else TOO_LONG


def caption_of(record: dict[str, Any]) -> str:
    """What a record says of its image: its caption, of a conversation the longest answer."""
    if record["kind"] == IMAGE_TEXT:
        return (record["text"] or "").strip()
    answers = [turn["content"] for turn in record["messages"] or [] if turn["role"] == "assistant"]
    return max(answers, key=len, default="").strip()
