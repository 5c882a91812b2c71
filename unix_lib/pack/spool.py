"""Writes tokenized records and image codes to a token store: each once, whatever epochs make of them.

The codes of an image are there once, however many records show it.
"""

from array import array
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from unix_lib.pack.draws import hash_text
from unix_lib.pack.formats import TRAINED, TURN, Format
from unix_lib.pack.image_codes import ImageCodes
from unix_lib.pack.records import Records
from unix_lib.pack.store import DTYPES, store_file, with_flags
from unix_lib.pack.tokenized import TokenizedRecord
from unix_lib.records.schema import IMAGE_TEXT, TEXT
from unix_lib.records.shards import Split
from unix_lib.tokenizers.vocabulary import Vocabulary

# Columns of `Records`, which grow as records come, and the types that `array` has for them.
_GROWING = {
    "forms": "B", "parts": "i", "samples": "Q", "text_lengths": "i", "trained_lengths": "i", "first_trained": "b",
    "image_counts": "i", "turn_counts": "i", "turns": "b",
}  # fmt: skip


class Spool:
    """Context manager: for each source `add_codes`, then `append` its records; then `seal`."""

    def __init__(self, folder: Path, split: Split, vocabulary: Vocabulary) -> None:
        self.folder, self.split, self.vocabulary = folder, split, vocabulary
        self._columns = {name: array(code) for name, code in _GROWING.items()}
        self._images, self._code_rows = array("i"), 0

    def __enter__(self) -> "Spool":
        self.folder.mkdir(parents=True, exist_ok=True)
        self._text = open(self.folder / store_file(self.split, "text"), "wb")
        self._codes = open(self.folder / store_file(self.split, "codes"), "wb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._text.close()
        self._codes.close()

    def add_codes(self, folders: Sequence[Path]) -> ImageCodes:
        """Take over the codes of a source's images; none without artefacts."""
        codes = ImageCodes(folders, self.split, self.vocabulary, self._codes, self._code_rows)
        self._code_rows += codes.rows
        return codes

    def append(self, record: TokenizedRecord, part: int, source: str) -> None:
        if record.kind == IMAGE_TEXT:
            form = Format.TEXT_TO_IMAGE
        elif record.kind == TEXT:
            form = Format.TEXT
        else:
            form = Format.IMAGE_CONVERSATION if record.images else Format.CONVERSATION
        trained = record.flags & TRAINED
        turns = trained[record.flags & TURN > 0]
        values = {
            "forms": form,
            "parts": part,
            "samples": hash_text(f"{source}/{record.sample_id}"),
            "text_lengths": len(record.text),
            "trained_lengths": int(np.count_nonzero(trained)),
            "first_trained": int(trained[0]) if len(trained) else 1,  # of no text, what ends it
            "image_counts": len(record.images),
            "turn_counts": len(turns),
        }
        for name, value in values.items():
            self._columns[name].append(value)
        self._columns["turns"].extend(turns.tolist())
        self._images.extend(record.images)
        self._text.write(with_flags(record.text, record.flags).tobytes())

    def seal(self) -> Records:
        """End writing; returns what planning must know."""
        self._text.flush()
        self._codes.flush()
        columns = {name: np.array(values) for name, values in self._columns.items()}
        columns |= {name: columns[name].astype(np.bool_) for name in ("first_trained", "turns")}
        lengths = np.stack([columns["text_lengths"], columns["image_counts"]], axis=1)
        ends = np.concatenate([np.zeros((1, 2), dtype=np.int64), np.cumsum(lengths, axis=0, dtype=np.int64)])
        for name, values in (("images", np.array(self._images)), ("ends", ends)):
            values.astype(DTYPES[name]).tofile(self.folder / store_file(self.split, name))
        return Records(**columns)
