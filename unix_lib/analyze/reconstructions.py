"""What the image tokenizer leaves of each source's held-out images: originals, reconstructions, use of the codebook.

Reconstructed are the codes that the source was encoded to, which are what models see. The codebook's use is that of all
held-out images, PSNR is measured on a sample of them (`unix_lib.pack.sampled`).
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from unix_lib.analyze.reconstructions_kind import ReconstructionsSettings
from unix_lib.artefacts.manifest import Manifest
from unix_lib.config.jobs import Execution
from unix_lib.encode.originals import originals_of
from unix_lib.evaluate.tables import null_for_nan, write_table
from unix_lib.images.files import png_bytes
from unix_lib.jobs.job import Job
from unix_lib.pack.sampled import sampled_rows, some_parts, split_looked_at
from unix_lib.records.schema import Row
from unix_lib.records.shards import Split, iterate_batches
from unix_lib.tokenizers.coded_images import decode_images
from unix_lib.tokenizers.fidelity import code_perplexity, psnr_db
from unix_lib.tokenizers.image import ImageTokenizer, device_of, load_image_tokenizer

logger = logging.getLogger(__name__)

RECONSTRUCTIONS_TABLE, CODEBOOK_TABLE = "reconstructions.parquet", "codebook.parquet"
BATCH = 32  # images
RECONSTRUCTIONS = pa.schema(
    [
        pa.field("source", pa.string()),
        pa.field("split", pa.string()),  # heldout, or train where a source holds nothing out
        pa.field("image_id", pa.string()),
        pa.field("psnr_db", pa.float64()),
        pa.field("original", pa.binary()),  # PNG, of those that are shown
        pa.field("reconstruction", pa.binary()),
    ]
)
CODEBOOK = pa.schema(
    [
        pa.field("source", pa.string()),
        pa.field("split", pa.string()),
        pa.field("images", pa.int64()),
        pa.field("codes_used", pa.int64()),
        pa.field("codebook_size", pa.int64()),
        pa.field("code_perplexity", pa.float64()),  # null without an image
    ]
)


def make_reconstructions(job: Job[ReconstructionsSettings, Execution]) -> Manifest:
    """Make `analyze/reconstructions`; without a decoder nothing is reconstructed."""
    tokenizer = load_image_tokenizer(job.input("image_tokenizer"), device_of(job.shape))
    images, rows, used = job.roles("images"), list[Row](), list[Row]()
    rejected: dict[str, int] = {}
    for source, codes in job.roles("codes").items():
        described: Row = {"source": source, "split": (split := split_looked_at(codes))}
        used.append(described | codebook_use(codes, split, tokenizer.codebook_size))
        parts = some_parts(len(codes))
        if tokenizer.has_decoder:
            sampled = Sampled([images[source][part] for part in parts], [codes[part] for part in parts], split)
            rows += [described | row for row in sampled.reconstructed(tokenizer, job.settings, rejected)]
        logger.info("'%s': %d %s images", source, used[-1]["images"], split)
    files: dict[str, int | None] = {
        RECONSTRUCTIONS_TABLE: write_table(rows, RECONSTRUCTIONS, job.folder / RECONSTRUCTIONS_TABLE),
        CODEBOOK_TABLE: write_table(used, CODEBOOK, job.folder / CODEBOOK_TABLE),
    }
    return job.finish(files, rejected=rejected, facts={"decoder": tokenizer.has_decoder})


def codebook_use(folders: list[Path], split: Split, codebook_size: int) -> Row:
    """How many codes the images of a split use, and how evenly."""
    counts, images = np.zeros(codebook_size, np.int64), 0
    for folder in folders:
        for batch in iterate_batches(folder, split, ["image_codes"]):
            counts += np.bincount(batch["image_codes"].flatten().to_numpy(), minlength=codebook_size)
            images += len(batch)
    perplexity = code_perplexity(counts) if images else float("nan")
    use = {"codes_used": int((counts > 0).sum()), "codebook_size": codebook_size}
    return {"images": images} | use | {"code_perplexity": null_for_nan(perplexity)}


@dataclass(frozen=True)
class Sampled:
    """Some parts of a source: artefacts of its images and of their codes, side by side."""

    images: list[Path]
    codes: list[Path]
    split: Split

    def reconstructed(
        self, tokenizer: ImageTokenizer, settings: ReconstructionsSettings, rejected: dict[str, int]
    ) -> Iterator[Row]:
        """A row for each image of the sample; those that can't be read are counted by reason.

        An image whose codes came with its source has no pixels to compare with, and no row.
        """
        sample = sampled_rows(self.codes, self.split, ["image_id", "image_codes"], settings.images)
        codes = dict(zip(sample["image_id"].to_pylist(), sample["image_codes"].to_pylist(), strict=True))
        originals = originals_of(self.images, codes.keys(), [self.split], tokenizer.image_size, rejected)
        names = [name for name in codes if name in originals]
        for first in range(0, len(names), BATCH):
            batch = names[first : first + BATCH]
            decoded = decode_images(tokenizer, np.array([codes[name] for name in batch]))
            for place, (name, reconstruction) in enumerate(zip(batch, decoded, strict=True), first):
                error = reconstruction.astype(np.int64) - originals[name]
                row: Row = {"image_id": name, "psnr_db": psnr_db(float(np.square(error).sum()), error.size)}
                if place < settings.shown:
                    row |= {"original": png_bytes(originals[name]), "reconstruction": png_bytes(reconstruction)}
                yield row
