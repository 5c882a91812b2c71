"""Brings the tokenized records of a mixture's sources and the codes of their images together, split by split.

What was brought of each artefact is kept, sealed, so that a job that was killed goes on with the next one.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from unix_lib.artefacts.files import write_json
from unix_lib.artefacts.sealed import is_whole, sealed_folder
from unix_lib.config.jobs import Execution
from unix_lib.config.pack import MixturePart, PackSettings
from unix_lib.jobs.job import Job
from unix_lib.pack.draws import hash_text
from unix_lib.pack.formats import Format
from unix_lib.pack.image_codes import ABSENT, ImageCodes, write_codes
from unix_lib.pack.records import Records
from unix_lib.pack.store import CODES, ENDS, IMAGES, TEXT, codes_file, ends_file, images_file, pieces_file, text_file
from unix_lib.records.rejected import RejectedSamples
from unix_lib.records.schema import CONVERSATION, IMAGE_TEXT
from unix_lib.records.shards import Split, iterate_batches
from unix_lib.tokenizers.vocabulary import Vocabulary

_log = logging.getLogger(__name__)
RECORDS_FILE, IDS_FILE, IMAGES_FILE = "records.arrow", "ids.parquet", "images.npy"
COLUMNS = ["sample_id", "kind", "tokens", "trained_length", "first_trained", "turns", "image_ids"]


@dataclass(frozen=True)
class MixedSplit:
    """A split's usable records."""

    records: Records
    files: list[str]  # of the token store
    folders: list[Path]  # where ids are, and what was set aside, those of one artefact after those of another

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
            folders.append(job.work / path.stem)
            if not is_whole(folders[-1]):
                with sealed_folder(folders[-1], also=[path]) as folder:
                    _Reading(split, number, part, images).write(origin, path, folder)
                _log.info("%s: %s", path.name, origin.name)
            pieces["text"].append(path.stat().st_size // np.dtype(TEXT).itemsize)
    records = Records.concatenated([Records.read(folder / RECORDS_FILE) for folder in folders])
    ends = np.cumsum(np.stack([records.text_lengths, records.image_counts], axis=1), axis=0, dtype=ENDS)
    ends.tofile(job.folder / ends_file(split))
    with open(job.folder / images_file(split), "wb") as shown:
        for folder in folders:
            np.load(folder / IMAGES_FILE).astype(IMAGES).tofile(shown)
    write_json(job.folder / pieces_file(split), pieces)
    files = [text_file(split, number) for number in range(len(pieces["text"]))]
    files += [codes_file(split, number) for number in range(len(pieces["codes"]))]
    files += [images_file(split), ends_file(split), pieces_file(split)]
    return MixedSplit(records, files, folders)


def _lengths(lists: pa.Array) -> np.ndarray:
    """How long each list is, int32."""
    lengths: np.ndarray = pc.list_value_length(lists).to_numpy()
    return lengths


@dataclass(frozen=True)
class _Reading:
    """What the records of a source's tokenized artefact are looked through for."""

    split: Split
    number: int  # of the part
    part: MixturePart
    images: ImageCodes

    def write(self, origin: Path, path: Path, folder: Path) -> None:
        """Write the tokens of an artefact's records to a file, what is known of them to a folder.

        Those whose images have no codes are set aside.
        """
        rejected, read, shown = RejectedSamples(), [], [np.zeros(0, dtype=IMAGES)]
        with (
            open(path, "wb") as file,
            pq.ParquetWriter(folder / IDS_FILE, pa.schema({"sample_id": pa.string()})) as ids,
        ):
            for batch in iterate_batches(origin, self.split, COLUMNS):
                images, usable = self._rows_of_images(batch, rejected)
                chosen = batch.filter(pa.array(usable))
                chosen["tokens"].flatten().to_numpy().tofile(file)
                ids.write_table(pa.table({"sample_id": chosen["sample_id"]}))
                shown.append(images)
                read.append(self._records(chosen))
        rejected.write(folder)
        Records.concatenated(read).write(folder / RECORDS_FILE)
        np.save(folder / IMAGES_FILE, np.concatenate(shown))

    def _rows_of_images(self, batch: pa.RecordBatch, rejected: RejectedSamples) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the images that the usable records show, in order; and which records are usable, bool.

        A record of a kind that the mixture does not take is not usable, and nothing is wrong with it.
        """
        counts = _lengths(batch["image_ids"])
        names = batch["image_ids"].flatten().to_pylist()
        rows = self.images.rows_of(names)
        of_record = np.repeat(np.arange(batch.num_rows), counts)
        usable = np.ones(batch.num_rows, dtype=bool)
        if self.part.kinds:
            usable &= pc.is_in(batch["kind"], pa.array(self.part.kinds)).to_numpy(zero_copy_only=False)
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

    def _records(self, batch: pa.RecordBatch) -> Records:
        kinds, image_counts = batch["kind"], _lengths(batch["image_ids"])
        forms = np.full(batch.num_rows, Format.TEXT, dtype=np.uint8)
        images, text_lengths = pc.equal(kinds, IMAGE_TEXT).to_numpy(zero_copy_only=False), _lengths(batch["tokens"])
        forms[images] = np.where(text_lengths[images] > 0, Format.TEXT_TO_IMAGE, Format.UNCONDITIONAL)
        talks = pc.equal(kinds, CONVERSATION).to_numpy(zero_copy_only=False)
        forms[talks] = np.where(image_counts[talks] > 0, Format.IMAGE_CONVERSATION, Format.CONVERSATION)
        named = (f"{self.part.source}/{sample_id}" for sample_id in batch["sample_id"].to_pylist())
        return Records(
            forms=forms,
            parts=np.full(batch.num_rows, self.number, dtype=np.int32),
            samples=np.fromiter(map(hash_text, named), dtype=np.uint64, count=batch.num_rows),
            text_lengths=text_lengths,
            trained_lengths=batch["trained_length"].to_numpy(),
            first_trained=batch["first_trained"].to_numpy(zero_copy_only=False),
            image_counts=image_counts,
            turn_counts=_lengths(batch["turns"]),
            turns=batch["turns"].flatten().to_numpy(zero_copy_only=False),
        )
