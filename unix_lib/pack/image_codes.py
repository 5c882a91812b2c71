"""Finds an image's codes by its id: codes of a source's images, each image's once, in one file on disk.

Records show images by id, several of them the same one. In memory an image takes its id and a row number, its codes
don't; ids are needed only while their source's records are tokenized.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from unix_lib.records.shards import Split, iterate_batches
from unix_lib.tokenizers.vocabulary import Vocabulary

ABSENT = -1


class ImageCodes:
    """Appends one source's codes to a file of rows of `codes_per_image` numbers, and knows their rows.

    Args:
        folders: the source's artefacts of codes; where two have an image, the first counts.
        file: rows of uint16, appended to.
        first_row: rows that the file has.
    """

    def __init__(
        self, folders: Sequence[Path], split: Split, vocabulary: Vocabulary, file: BinaryIO, first_row: int
    ) -> None:
        self._vocabulary = vocabulary
        self._faults: dict[str, tuple[str, str]] = {}
        self.rows = 0
        ids = [np.zeros(0, dtype="S1")]
        for folder in folders:
            for batch in iterate_batches(folder, split, ["image_id", "image_codes"]):
                good, codes = self._judged(batch)
                file.write(codes.tobytes())
                ids.append(np.array(batch["image_id"].filter(good).to_pylist(), dtype="S"))
                self.rows += len(codes)
        unsorted = np.concatenate(ids)
        order = np.argsort(unsorted, kind="stable")
        self._ids, self._places = unsorted[order], first_row + order

    def rows_of(self, image_ids: Sequence[str | None]) -> list[int]:
        """Rows in the file; `ABSENT` for an image that has none, and for an id that is null."""
        if not len(self._ids):
            return [ABSENT] * len(image_ids)
        wanted = np.array([image_id or "" for image_id in image_ids], dtype="S")
        found = np.minimum(np.searchsorted(self._ids, wanted), len(self._ids) - 1)
        rows: list[int] = np.where(self._ids[found] == wanted, self._places[found], ABSENT).tolist()
        return rows

    def fault_of(self, image_id: str | None) -> tuple[str, str]:
        """Why an image has no row: (reason, detail)."""
        return self._faults.get(image_id or "", ("no_image_codes", f"no codes of image {image_id}"))

    def _judged(self, batch: pa.RecordBatch) -> tuple[pa.Array, np.ndarray]:
        """Which images of a batch have the vocabulary's codes, and those, uint16 (images, codes_per_image)."""
        column, size = batch["image_codes"], self._vocabulary.codes_per_image
        lengths = np.diff(column.offsets.to_numpy())
        good = lengths == size
        codes = column.filter(pa.array(good)).flatten().to_numpy().reshape(-1, size)
        highest = codes.max(axis=1, initial=0)
        in_range = highest < self._vocabulary.codebook_size
        ids = batch["image_id"]
        for place in np.flatnonzero(~good).tolist():
            self._faults[ids[place].as_py()] = ("wrong_code_count", f"{lengths[place]} codes, an image has {size}")
        for place, code in zip(np.flatnonzero(good)[~in_range].tolist(), highest[~in_range].tolist(), strict=True):
            detail = f"code {code}, the codebook has {self._vocabulary.codebook_size}"
            self._faults[ids[place].as_py()] = ("code_out_of_range", detail)
        good[good] = in_range
        return pa.array(good), codes[in_range]
