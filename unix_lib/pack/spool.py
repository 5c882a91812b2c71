"""Keeps tokenized records and image codes on disk: tokenized once, put together anew in every epoch.

They are read back through memory maps. A few bytes per record (kind, source, length, images, the hash of its id) stay
in memory, its tokens don't. The codes of an image are there once, however many records show it.
"""

from array import array
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from unix_lib.pack.draws import hash_text
from unix_lib.pack.image_codes import ImageCodes
from unix_lib.pack.sequences import TURN, Format
from unix_lib.pack.tokenized import TokenizedRecord
from unix_lib.records.schema import IMAGE_TEXT, TEXT
from unix_lib.records.shards import Split
from unix_lib.tokenizers.vocabulary import Vocabulary


class Spool:
    """Context manager: for each source `add_codes`, then `append` its records; then `seal`; then read by record.

    The files in its folder go with the block.

    Attributes, once sealed (N records in the order in which they came):
        forms: uint8 (N,), `Format`; an image with a caption stands as TEXT_TO_IMAGE.
        parts: int32 (N,), the mixture's part that the record came from.
        samples: uint64 (N,), hash of source and sample id.
        text_lengths, image_counts: int64 (N,), a record's own tokens, and the images that it shows.
        turn_counts: int64 (N,), its turns, of records that are tokenized turn by turn.
    """

    def __init__(self, folder: Path, vocabulary: Vocabulary) -> None:
        self.folder, self.vocabulary = folder, vocabulary
        self._forms, self._parts, self._samples, self._images = array("B"), array("i"), array("Q"), array("q")
        self._text_starts, self._image_starts, self._code_rows = array("q", [0]), array("q", [0]), 0
        self._turn_counts = array("i")
        self.ids: list[str] = []

    def __enter__(self) -> "Spool":
        self.folder.mkdir(parents=True, exist_ok=True)
        self._files = {name: open(self.folder / name, "wb") for name in ("text", "flags", "codes")}  # noqa: SIM115
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()
        for name in self._files:
            (self.folder / name).unlink(missing_ok=True)

    def add_codes(self, folders: Sequence[Path], split: Split) -> ImageCodes:
        """Take over the codes of a source's images; none without artefacts."""
        codes = ImageCodes(folders, split, self.vocabulary, self._files["codes"], self._code_rows)
        self._code_rows += codes.rows
        return codes

    def append(self, record: TokenizedRecord, part: int, source: str) -> None:
        if record.kind == IMAGE_TEXT:
            form = Format.TEXT_TO_IMAGE
        elif record.kind == TEXT:
            form = Format.TEXT
        else:
            form = Format.IMAGE_CONVERSATION if record.images else Format.CONVERSATION
        self._forms.append(form)
        self._parts.append(part)
        self._samples.append(hash_text(f"{source}/{record.sample_id}"))
        self._text_starts.append(self._text_starts[-1] + len(record.text))
        self._images.extend(record.images)
        self._image_starts.append(len(self._images))
        self.ids.append(record.sample_id)
        self._files["text"].write(record.text.tobytes())
        self._turn_counts.append(int(np.count_nonzero(record.flags & TURN)))
        self._files["flags"].write(record.flags.tobytes())

    def seal(self) -> None:
        """End writing and map the files."""
        for file in self._files.values():
            file.flush()
        self.forms = np.array(self._forms, dtype=np.uint8)
        self.parts = np.array(self._parts, dtype=np.int32)
        self.samples = np.array(self._samples, dtype=np.uint64)
        self._image_rows = np.array(self._images, dtype=np.int64)
        self._starts = np.array(self._text_starts, dtype=np.int64)
        self._first_images = np.array(self._image_starts, dtype=np.int64)
        self.text_lengths, self.image_counts = np.diff(self._starts), np.diff(self._first_images)
        self._text = self._map("text", np.int32)
        self.turn_counts = np.array(self._turn_counts, dtype=np.int64)
        self._flags = self._map("flags", np.uint8)
        self._codes = self._map("codes", np.uint16).reshape(-1, self.vocabulary.codes_per_image)

    def _map(self, name: str, dtype: type) -> np.ndarray:
        path = self.folder / name
        if not path.stat().st_size:
            return np.zeros(0, dtype=dtype)
        return np.asarray(np.memmap(path, dtype=dtype, mode="r"))  # a plain array: slicing a memmap object is slow

    def __len__(self) -> int:
        return len(self._forms)

    def tokens(self, record: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A record's text (int32), its flags (uint8) and its images' codes, uint16 (images, codes_per_image)."""
        text = slice(self._starts[record], self._starts[record + 1])
        images = self._image_rows[self._first_images[record] : self._first_images[record + 1]]
        return self._text[text], self._flags[text], self._codes[images]
