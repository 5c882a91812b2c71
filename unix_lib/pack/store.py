"""Tokens of a split's records, once, in files that are read through memory maps.

`train-text.bin`: int32, the own tokens of all records, one behind the other; above the id, bits say whether a token may
be trained and whether it begins a turn. `train-codes.bin`: uint16, images of `codes_per_image`. `train-images.bin`:
int32, for each image that a record shows its place among those. `train-ends.bin`: int64 pairs, where a record's tokens
and its images end. What becomes of them is said by the plan of an epoch.
"""

from functools import cached_property
from pathlib import Path

import numpy as np

from unix_lib.pack.planner import PackError
from unix_lib.records.shards import Split

DTYPES = {"text": np.int32, "codes": np.uint16, "images": np.int32, "ends": np.int64}
STORE_FILES = tuple(DTYPES)
FLAGS_FROM = 29  # bit
_IDS = (1 << FLAGS_FROM) - 1


def store_file(split: Split, name: str) -> str:
    """Name of one of a split's files."""
    return f"{split}-{name}.bin"


def with_flags(ids: np.ndarray, flags: np.ndarray) -> np.ndarray:
    """Ids (int32) and flags (uint8, below 4) in one int32 each."""
    both: np.ndarray = ids | flags.astype(np.int32) << FLAGS_FROM
    return both


def missing_or_damaged(path: Path) -> str:
    """What is wrong with a file that can't be read."""
    return "damaged" if path.exists() else "missing"


class TokenStore:
    """The tokens of a split, by record."""

    def __init__(self, folder: Path, split: Split, codes_per_image: int) -> None:
        self._folder, self._split, self._codes_per_image = folder, split, codes_per_image

    def __getstate__(self) -> dict[str, object]:
        """Memory maps do not travel to another process; they are opened there anew."""
        return {name: value for name, value in vars(self).items() if name not in DTYPES}

    def tokens(self, record: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A record's text (int32), its flags (uint8) and its images' codes, uint16 (images, codes_per_image)."""
        (text_start, first_image), (text_end, last_image) = self.ends[record : record + 2].tolist()
        text = self.text[text_start:text_end]
        flags = (text >> FLAGS_FROM).astype(np.uint8)
        return text & _IDS, flags, self.codes[self.images[first_image:last_image]]

    @cached_property
    def text(self) -> np.ndarray:
        return self._map("text")

    @cached_property
    def codes(self) -> np.ndarray:
        return self._map("codes").reshape(-1, self._codes_per_image)

    @cached_property
    def images(self) -> np.ndarray:
        return self._map("images")

    @cached_property
    def ends(self) -> np.ndarray:
        """int64 (records + 1, 2), the first row zero."""
        return self._map("ends").reshape(-1, 2)

    def _map(self, name: str) -> np.ndarray:
        path = self._folder / store_file(self._split, name)
        try:
            if not path.stat().st_size:
                return np.zeros(0, dtype=DTYPES[name])
            # A plain array: slicing a memmap object is slow.
            return np.asarray(np.memmap(path, dtype=DTYPES[name], mode="r"))
        except (OSError, ValueError) as error:
            raise PackError(f"{path}: {missing_or_damaged(path)}; delete {path.parent} and run again") from error
