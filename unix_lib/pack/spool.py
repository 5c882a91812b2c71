"""Tokenized records on disk: tokenized once, put together anew in every epoch.

What flows in: `TokenizedRecord`s. What flows out: random access to them through memory maps. A few bytes per
record (kind, source, lengths, the hash of its id) stay in memory, its tokens don't.
"""

from array import array
from pathlib import Path
from types import TracebackType

import numpy as np

from unix_lib.pack.draws import hash_text
from unix_lib.pack.sequences import Format
from unix_lib.pack.tokenized import TokenizedRecord
from unix_lib.records.schema import IMAGE_TEXT, TEXT


class Spool:
    """Context manager: `append` records, then `seal`, then read `text`, `text_mask` and `codes` by record.

    Attributes, once sealed (N records in the order in which they came):
        forms: uint8 (N,), `Format`; an image with a caption stands as TEXT_TO_IMAGE.
        parts: int32 (N,), the mixture's part that the record came from.
        samples: uint64 (N,), hash of source and sample id.
        text_starts, code_starts: int64 (N + 1,), where a record's tokens lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._forms, self._parts, self._samples = array("B"), array("i"), array("Q")
        self._text_starts, self._code_starts = array("q", [0]), array("q", [0])
        self.ids: list[str] = []

    def __enter__(self) -> "Spool":
        self.folder.mkdir(parents=True, exist_ok=True)
        self._files = {name: open(self.folder / name, "wb") for name in ("text", "mask", "codes")}  # noqa: SIM115
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()
        for name in self._files:
            (self.folder / name).unlink(missing_ok=True)

    def append(self, record: TokenizedRecord, part: int, source: str) -> None:
        if record.kind == IMAGE_TEXT:
            form = Format.TEXT_TO_IMAGE
        elif record.kind == TEXT:
            form = Format.TEXT
        else:
            form = Format.IMAGE_CONVERSATION if len(record.codes) else Format.CONVERSATION
        self._forms.append(form)
        self._parts.append(part)
        self._samples.append(hash_text(f"{source}/{record.sample_id}"))
        self._text_starts.append(self._text_starts[-1] + len(record.text))
        self._code_starts.append(self._code_starts[-1] + len(record.codes))
        self.ids.append(record.sample_id)
        self._files["text"].write(record.text.tobytes())
        self._files["mask"].write(record.text_mask.tobytes())
        self._files["codes"].write(record.codes.tobytes())

    def seal(self) -> None:
        """End writing and map the files."""
        for file in self._files.values():
            file.flush()
        self.forms = np.array(self._forms, dtype=np.uint8)
        self.parts = np.array(self._parts, dtype=np.int32)
        self.samples = np.array(self._samples, dtype=np.uint64)
        self.text_starts = np.array(self._text_starts, dtype=np.int64)
        self.code_starts = np.array(self._code_starts, dtype=np.int64)
        self._text = self._map("text", np.int32)
        self._mask = self._map("mask", np.bool_)
        self._codes = self._map("codes", np.uint16)

    def _map(self, name: str, dtype: type) -> np.ndarray:
        path = self.folder / name
        if not path.stat().st_size:
            return np.zeros(0, dtype=dtype)
        return np.asarray(np.memmap(path, dtype=dtype, mode="r"))  # a plain array: slicing a memmap object is slow

    def __len__(self) -> int:
        return len(self._forms)

    def tokens(self, record: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A record's text (int32), its mask (bool) and its codes (uint16)."""
        text = slice(self.text_starts[record], self.text_starts[record + 1])
        codes = slice(self.code_starts[record], self.code_starts[record + 1])
        return self._text[text], self._mask[text], self._codes[codes]
