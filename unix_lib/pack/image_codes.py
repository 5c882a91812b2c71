"""Finds an image's codes by its id: codes of a source's images, each image's once, in files of numbers.

Records show images by id, several of them the same one. In memory an image takes its id and a row number, its codes
don't; ids are needed only while their source's records are looked through.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unix_lib.records.codes import judged_codes
from unix_lib.records.shards import Split, iterate_batches
from unix_lib.tokenizers.vocabulary import Vocabulary

ABSENT = -1
IDS_FILE, FAULTS_FILE = "image_ids.parquet", "faults.json"


def write_codes(origin: Path, split: Split, vocabulary: Vocabulary, path: Path, folder: Path) -> None:
    """Write the usable codes of an artefact to a file of numbers, and what they are of to a folder.

    Args:
        origin: artefact of codes (schema CODES).
        path: rows of `codes_per_image` uint16.
        folder: gets the ids of these rows, and what is wrong with the other images.
    """
    faults: dict[str, tuple[str, str]] = {}
    with open(path, "wb") as file, pq.ParquetWriter(folder / IDS_FILE, pa.schema({"image_id": pa.string()})) as ids:
        for batch in iterate_batches(origin, split, ["image_id", "image_codes"]):
            good, codes, of_batch = judged_codes(batch, vocabulary.codes_per_image, vocabulary.codebook_size)
            faults |= of_batch
            file.write(codes.tobytes())
            ids.write_table(pa.table({"image_id": batch["image_id"].filter(pa.array(good))}))
    (folder / FAULTS_FILE).write_text(json.dumps(faults), encoding="utf-8")


class ImageCodes:
    """Knows the rows of a source's codes.

    Args:
        folders: what `write_codes` wrote of each of the source's artefacts; where two have an image, the first counts.
        first_row: number of the first of their rows.
    """

    def __init__(self, folders: Sequence[Path], first_row: int) -> None:
        self._faults: dict[str, list[str]] = {}
        ids = [np.zeros(0, dtype="S1")]
        for folder in folders:
            self._faults |= json.loads((folder / FAULTS_FILE).read_text(encoding="utf-8"))
            ids.append(np.array(pq.read_table(folder / IDS_FILE)["image_id"].to_pylist(), dtype="S"))
        unsorted = np.concatenate(ids)
        order = np.argsort(unsorted, kind="stable")
        self.rows = len(order)
        self._ids, self._places = unsorted[order], first_row + order

    def rows_of(self, image_ids: Sequence[str | None]) -> np.ndarray:
        """Rows in the files, int64; `ABSENT` for an image that has none, and for an id that is null."""
        if not len(self._ids):
            return np.full(len(image_ids), ABSENT)
        wanted = np.array([image_id or "" for image_id in image_ids], dtype="S")
        found = np.minimum(np.searchsorted(self._ids, wanted), len(self._ids) - 1)
        return np.where(self._ids[found] == wanted, self._places[found], ABSENT)

    def fault_of(self, image_id: str | None) -> tuple[str, str]:
        """Why an image has no row: (reason, detail)."""
        reason, detail = self._faults.get(image_id or "", ("no_image_codes", f"no codes of image {image_id}"))
        return reason, detail
