"""Tokens of a split's records, once, in files that are read through memory maps.

`train-text-00000.bin` ...: int32, the own tokens of records, those of each tokenized artefact, with flags above the ids
(`unix_lib.tokenize.flags`). `train-codes-00000.bin` ...: uint16, images of `codes_per_image`, those of each artefact of
codes. `train-images.bin`: int32, for each image that a record shows its row among those. `train-ends.bin`: int64
pairs, where a record's tokens and its images end.
`train-pieces.json`: how many tokens, and how many codes, each of the numbered files has. What becomes of them is said
by the plan of an epoch.
"""

import json
from bisect import bisect_right
from functools import cached_property
from pathlib import Path

import numpy as np

from unix_lib.pack.planner import PackError
from unix_lib.records.shards import Split
from unix_lib.tokenize.flags import without_flags

TEXT, CODES, IMAGES, ENDS = np.int32, np.uint16, np.int32, np.int64


def text_file(split: Split, number: int) -> str:
    """Name of the file that has the tokens of a tokenized artefact."""
    return f"{split}-text-{number:05d}.bin"


def codes_file(split: Split, number: int) -> str:
    """Name of the file that has the codes of an artefact."""
    return f"{split}-codes-{number:05d}.bin"


def images_file(split: Split) -> str:
    return f"{split}-images.bin"


def ends_file(split: Split) -> str:
    return f"{split}-ends.bin"


def pieces_file(split: Split) -> str:
    return f"{split}-pieces.json"


def missing_or_damaged(path: Path) -> str:
    """What is wrong with a file that can't be read."""
    return "damaged" if path.exists() else "missing"


class TokenStore:
    """The tokens of a split, by record."""

    def __init__(self, folder: Path, split: Split, codes_per_image: int) -> None:
        self._folder, self._split, self._codes_per_image = folder, split, codes_per_image

    def __getstate__(self) -> dict[str, object]:
        """Memory maps do not travel to another process; they are opened there anew."""
        return {name: value for name, value in vars(self).items() if name in ("_folder", "_split", "_codes_per_image")}

    def tokens(self, record: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A record's text (int32), its flags (uint8) and its images' codes, uint16 (images, codes_per_image)."""
        end, last_image = self._ends[record].tolist()
        start, first_image = self._ends[record - 1].tolist() if record else (0, 0)
        shown = [self._codes[row : row + 1] for row in self._images[first_image:last_image].tolist()]
        return (
            *without_flags(self._text[start:end]),
            np.concatenate(shown) if shown else np.zeros((0, self._codes_per_image), dtype=CODES),
        )

    @cached_property
    def _text(self) -> "_Pieces":
        files = [self._folder / text_file(self._split, number) for number in range(len(self._lengths["text"]))]
        return _Pieces([self._map(*each, TEXT) for each in zip(files, self._lengths["text"], strict=True)])

    @cached_property
    def _codes(self) -> "_Pieces":
        files = [self._folder / codes_file(self._split, number) for number in range(len(self._lengths["codes"]))]
        mapped = [self._map(*each, CODES) for each in zip(files, self._lengths["codes"], strict=True)]
        return _Pieces([codes.reshape(-1, self._codes_per_image) for codes in mapped])

    @cached_property
    def _images(self) -> np.ndarray:
        return self._map(self._folder / images_file(self._split), None, IMAGES)

    @cached_property
    def _ends(self) -> np.ndarray:
        """int64 (records, 2)."""
        return self._map(self._folder / ends_file(self._split), None, ENDS).reshape(-1, 2)

    @cached_property
    def _lengths(self) -> dict[str, list[int]]:
        path = self._folder / pieces_file(self._split)
        try:
            lengths: dict[str, list[int]] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise _unreadable(path) from error
        return lengths

    def _map(self, path: Path, length: int | None, dtype: type[np.integer]) -> np.ndarray:
        """The numbers of a file, which should have that many (None: any)."""
        try:
            if not path.stat().st_size:
                values = np.zeros(0, dtype=dtype)
            else:  # a plain array: slicing a memmap object is slow
                values = np.asarray(np.memmap(path, dtype=dtype, mode="r"))
        except (OSError, ValueError) as error:
            raise _unreadable(path) from error
        if length is not None and len(values) != length:
            raise _unreadable(path)
        return values


def _unreadable(path: Path) -> PackError:
    return PackError(f"{path}: {missing_or_damaged(path)}; delete {path.parent} and run again")


class _Pieces:
    """Arrays that lie in several files, as if they were one; a slice crosses no border."""

    def __init__(self, pieces: list[np.ndarray]) -> None:
        self._pieces = pieces
        self._starts = np.cumsum([0, *map(len, pieces)])[:-1].tolist()

    def __getitem__(self, rows: slice) -> np.ndarray:
        piece = bisect_right(self._starts, rows.start) - 1
        first = self._starts[piece]
        return self._pieces[piece][rows.start - first : rows.stop - first]
