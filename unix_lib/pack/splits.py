"""Brings the tokenized records of a mixture's sources and the codes of their images together, split by split.

Tokens are not copied: the store gets a second name for each file of them, where the file system has such a thing. What
is known of each artefact's records is kept, sealed, so that a job that was killed goes on with the next artefact.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from unix_lib.artefacts.files import link_or_copy, write_json
from unix_lib.artefacts.sealed import is_whole, sealed_folder
from unix_lib.config.jobs import Execution
from unix_lib.config.pack import MixturePart, PackSettings
from unix_lib.jobs.job import Job
from unix_lib.pack.draws import hash_text
from unix_lib.pack.formats import Format
from unix_lib.pack.image_codes import ABSENT, ImageCodes, write_codes
from unix_lib.pack.records import Records
from unix_lib.pack.store import (
    CODES,
    IMAGES,
    PLACES,
    TEXT,
    codes_file,
    images_file,
    pieces_file,
    places_file,
    text_file,
)
from unix_lib.records.rejected import REJECTED_FILE, RejectedSamples
from unix_lib.records.schema import CONVERSATION, IMAGE_TEXT
from unix_lib.records.shards import Split, iterate_batches
from unix_lib.tokenize.make import tokens_file
from unix_lib.tokenizers.vocabulary import Vocabulary

_log = logging.getLogger(__name__)
RECORDS_FILE, IDS_FILE, NUMBERS_FILE = "records.arrow", "ids.parquet", "numbers.npz"
COLUMNS = ["sample_id", "kind", "text_length", "trained_length", "first_trained", "turns", "image_ids"]


@dataclass(frozen=True)
class MixedSplit:
    """A split's usable records, and those set aside."""

    records: Records
    rejected: RejectedSamples
    files: list[str]  # of the token store
    folders: list[Path]  # where ids are, those of one artefact after those of another

    def ids_of(self, records: Sequence[int]) -> list[str]:
        """Ids of some samples by their positions."""
        ids = pa.concat_tables([pq.read_table(folder / IDS_FILE) for folder in self.folders])
        chosen: list[str] = ids["sample_id"].take(pa.array(records, pa.int64())).to_pylist()
        return chosen


def mix_split(job: Job[PackSettings, Execution], split: Split, vocabulary: Vocabulary) -> MixedSplit:
    """Write a split's token store to the job's folder."""
    parts, tokens, codes = job.settings.parts, job.roles("tokens"), job.roles("codes")
    pieces: dict[str, list[int]] = {"text": [], "codes": []}
    folders: list[Path] = []
    width = vocabulary.codes_per_image
    for number, part in enumerate(parts):
        first_row = sum(pieces["codes"]) // width
        of_codes = []
        for origin in codes.get(part.source, []):
            path = job.folder / codes_file(split, len(pieces["codes"]))
            of_codes.append(job.work / path.stem)
            if not is_whole(of_codes[-1]):
                with sealed_folder(of_codes[-1], also=[path]) as folder:
                    write_codes(origin, split, vocabulary, path, folder)
            pieces["codes"].append(path.stat().st_size // np.dtype(CODES).itemsize)
        images = ImageCodes(of_codes, first_row)
        for origin in tokens[part.source]:
            path = job.folder / text_file(split, len(pieces["text"]))
            path.unlink(missing_ok=True)
            link_or_copy(origin / tokens_file(split), path)
            folders.append(job.work / path.stem)
            if not is_whole(folders[-1]):
                with sealed_folder(folders[-1]) as folder:
                    _Reading(split, number, part, images).write(origin, folder)
                _log.info("%s: %s", path.name, origin.name)
            pieces["text"].append(path.stat().st_size // np.dtype(TEXT).itemsize)
    write_json(job.folder / pieces_file(split), pieces)
    _write_places(job.folder, split, folders, pieces["text"])
    rejected = RejectedSamples()
    for folder in folders:
        for row in pq.read_table(folder / REJECTED_FILE).to_pylist():
            rejected.add(**row)
    named = [text_file(split, number) for number in range(len(pieces["text"]))]
    named += [codes_file(split, number) for number in range(len(pieces["codes"]))]
    return MixedSplit(
        Records.concatenated([Records.read(folder / RECORDS_FILE) for folder in folders]),
        rejected,
        [*named, images_file(split), places_file(split), pieces_file(split)],
        folders,
    )


def _write_places(folder: Path, split: Split, known: list[Path], lengths: list[int]) -> None:
    """Where each record's tokens and images are in the whole of the store."""
    first_token = first_image = 0
    with open(folder / places_file(split), "wb") as places, open(folder / images_file(split), "wb") as images:
        for piece, length in zip(known, lengths, strict=True):
            with np.load(piece / NUMBERS_FILE) as numbers:
                own = numbers["places"] + np.array([first_token, first_token, first_image])
                own.astype(PLACES).tofile(places)
                numbers["images"].astype(IMAGES).tofile(images)
                first_token, first_image = first_token + length, first_image + len(numbers["images"])


@dataclass(frozen=True)
class _Reading:
    """What the records of a source's tokenized artefact are looked through for."""

    split: Split
    number: int  # of the part
    part: MixturePart
    images: ImageCodes

    def write(self, origin: Path, folder: Path) -> None:
        """Write what is known of an artefact's records to a folder; those whose images have no codes are set aside."""
        rejected, read, first_token, first_image = RejectedSamples(), [], 0, 0
        places, images = [], []
        with pq.ParquetWriter(folder / IDS_FILE, pa.schema({"sample_id": pa.string()})) as ids:
            for batch in iterate_batches(origin, self.split, COLUMNS):
                ends = first_token + np.cumsum(batch["text_length"].to_numpy(), dtype=PLACES)
                starts = np.concatenate([[first_token], ends[:-1]])
                first_token = int(ends[-1])
                shown, usable = self._rows_of_images(batch, rejected)
                chosen = batch.filter(pa.array(usable))
                counts = pc.list_value_length(chosen["image_ids"]).to_numpy()
                image_ends = first_image + np.cumsum(counts, dtype=PLACES)
                first_image += int(counts.sum())
                places.append(np.stack([starts[usable], ends[usable], image_ends], axis=1))
                images.append(shown)
                read.append(self._records(chosen, counts))
                ids.write_table(pa.table({"sample_id": chosen["sample_id"]}))
        rejected.write(folder)
        Records.concatenated(read).write(folder / RECORDS_FILE)
        nothing = np.zeros((0, 3), dtype=PLACES)
        np.savez(
            folder / NUMBERS_FILE,
            places=np.concatenate([nothing, *places]),
            images=np.concatenate([nothing[:, 0], *images]),
        )

    def _rows_of_images(self, batch: pa.RecordBatch, rejected: RejectedSamples) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the images that the usable records show, in order; and which records are usable, bool.

        A record of a kind that the mixture does not take is not usable, and nothing is wrong with it.
        """
        counts = pc.list_value_length(batch["image_ids"]).to_numpy()
        names = batch["image_ids"].flatten().to_pylist()
        rows = self.images.rows_of(names)
        of_record = np.repeat(np.arange(batch.num_rows), counts)
        taken = np.ones(batch.num_rows, dtype=bool)
        if self.part.kinds:
            taken = pc.is_in(batch["kind"], pa.array(self.part.kinds)).to_numpy(zero_copy_only=False)
        usable = taken.copy()
        for image in np.flatnonzero(rows == ABSENT).tolist():
            record = of_record[image]
            if usable[record]:  # the first of its images that is missing says why
                rejected.add(
                    batch["sample_id"][record].as_py(),
                    f"{self.part.source}/{self.split}",
                    *self.images.fault_of(names[image]),
                )
                usable[record] = False
        return rows[usable[of_record]], usable

    def _records(self, batch: pa.RecordBatch, image_counts: np.ndarray) -> Records:
        kinds = batch["kind"]
        forms = np.full(batch.num_rows, Format.TEXT, dtype=np.uint8)
        forms[pc.equal(kinds, IMAGE_TEXT).to_numpy(zero_copy_only=False)] = Format.TEXT_TO_IMAGE
        talks = pc.equal(kinds, CONVERSATION).to_numpy(zero_copy_only=False)
        forms[talks] = np.where(image_counts[talks] > 0, Format.IMAGE_CONVERSATION, Format.CONVERSATION)
        named = (f"{self.part.source}/{sample_id}" for sample_id in batch["sample_id"].to_pylist())
        return Records(
            forms=forms,
            parts=np.full(batch.num_rows, self.number, dtype=np.int32),
            samples=np.fromiter(map(hash_text, named), dtype=np.uint64, count=batch.num_rows),
            text_lengths=batch["text_length"].to_numpy(),
            trained_lengths=batch["trained_length"].to_numpy(),
            first_trained=batch["first_trained"].to_numpy(zero_copy_only=False),
            image_counts=image_counts.astype(np.int32),
            turn_counts=pc.list_value_length(batch["turns"]).to_numpy().astype(np.int32),
            turns=batch["turns"].flatten().to_numpy(zero_copy_only=False),
        )
