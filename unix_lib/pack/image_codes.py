"""Finds an image's codes by its id: codes of a source's images, each image's once, in one file on disk.

Records show images by id, several of them the same one. In memory an image takes its id and a row number, its codes
don't; ids are needed only while their source's records are tokenized.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from unix_lib.records.codes import judged_codes
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
        self._faults: dict[str, tuple[str, str]] = {}
        self.rows = 0
        ids = [np.zeros(0, dtype="S1")]
        for folder in folders:
            for batch in iterate_batches(folder, split, ["image_id", "image_codes"]):
                good, codes, faults = judged_codes(batch, vocabulary.codes_per_image, vocabulary.codebook_size)
                self._faults |= faults
                file.write(codes.tobytes())
                ids.append(np.array(batch["image_id"].filter(pa.array(good)).to_pylist(), dtype="S"))
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
