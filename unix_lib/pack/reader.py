"""Reads packs from disk: row `i` of all epochs, without reading any other.

A row is a plan: which records, in which format. They are put together here, from the tokens that are stored once. A
training run's position is one integer, the number of packs it has taken.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path

import numpy as np
import pyarrow as pa

from unix_lib.pack.formats import Format
from unix_lib.pack.planner import PackError
from unix_lib.pack.sequences import FIXED_PARTS_FILE, FixedParts
from unix_lib.pack.store import TokenStore, missing_or_damaged
from unix_lib.records.shards import Split

HELDOUT_FILE = "heldout.arrow"


def epoch_file(epoch: int) -> str:
    """File name of an epoch's packs."""
    return f"epoch-{epoch:03d}.arrow"


@dataclass(frozen=True)
class Pack:
    """One pack of T tokens in D documents that must not see each other."""

    input_ids: np.ndarray  # int32 (T,)
    loss_mask: np.ndarray  # bool (T,): token t is a target
    document_lengths: np.ndarray  # int32 (D,), their sum is T


@dataclass(frozen=True)
class Document:
    """One document of n tokens."""

    form: Format
    input_ids: np.ndarray  # int32 (n,)
    loss_mask: np.ndarray  # bool (n,)


class PackReader(Sequence[Pack]):
    """The packs of a `pack/<mixture>` artefact, epoch after epoch.

    Args:
        files: names of the Arrow files in the folder; all epochs in order by default.

    Raises:
        PackError: a file is missing or is no pack file.
    """

    def __init__(self, folder: Path, files: Sequence[str] | None = None) -> None:
        self.folder = folder
        names = sorted(path.name for path in folder.glob("epoch-*.arrow")) if files is None else files
        if not names:
            raise PackError(f"{folder}: no epoch-*.arrow here; run the pack stage")
        self._files = [_PlanFile(folder / name) for name in names]
        self._fixed = _fixed_parts(folder)
        split: Split = "heldout" if names == [HELDOUT_FILE] else "train"
        self._store = TokenStore(folder, split, self._fixed.vocabulary.codes_per_image)
        self._ends = list(accumulate(file.packs for file in self._files))

    def heldout(self) -> "PackReader":
        """The packs of the held-out records."""
        return PackReader(self.folder, [HELDOUT_FILE])

    @property
    def pack_length(self) -> int:
        """Tokens that a pack takes."""
        return self._files[0].pack_length

    @property
    def packs_per_epoch(self) -> list[int]:
        """Packs of each epoch."""
        return [file.packs for file in self._files]

    def __len__(self) -> int:
        return self._ends[-1]

    def records(self, index: int) -> list[int]:
        """Which records of the split a pack's documents are; those of a mixture's parts follow each other, in order."""
        file, first = self._file_of(index)
        return [record for record, *_ in self._files[file].documents(index - first)]

    def __getitem__(self, index: int) -> Pack:  # type: ignore[override]
        documents = list(self.documents(index))
        lengths = np.array([len(document.input_ids) for document in documents], dtype=np.int32)
        ids, masks = ([getattr(each, name) for each in documents] for name in ("input_ids", "loss_mask"))
        return Pack(np.concatenate(ids), np.concatenate(masks), lengths)

    def documents(self, index: int) -> Iterator[Document]:
        """The documents of a pack, in order."""
        file, first = self._file_of(index)
        for record, form, phrase, newlines in self._files[file].documents(index - first):
            ids, mask = self._fixed.document(Format(form), phrase, newlines, *self._store.tokens(record))
            yield Document(Format(form), ids, mask)

    def _file_of(self, index: int) -> tuple[int, int]:
        """The file that has a pack, and its first pack."""
        if not 0 <= index < len(self):
            raise IndexError(f"pack {index} of {len(self)}")
        file = bisect_right(self._ends, index)
        return file, self._ends[file - 1] if file else 0


def _fixed_parts(folder: Path) -> FixedParts:
    try:
        return FixedParts.read(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        path = folder / FIXED_PARTS_FILE
        raise PackError(f"{path}: {missing_or_damaged(path)}; delete {folder} and run again") from error


class _PlanFile:
    """One memory-mapped Arrow file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            metadata = self._open.schema.metadata or {}
            self.pack_length, self._packs_per_batch = int(metadata[b"length"]), int(metadata[b"packs_per_batch"])
        except FileNotFoundError:
            raise PackError(f"{path}: missing; delete {path.parent} and run the pack stage again") from None
        except (pa.ArrowInvalid, KeyError) as error:
            raise PackError(
                f"{path}: no pack file ({error}); delete {path.parent} and run the pack stage again"
            ) from None
        batches = self._open.num_record_batches
        self.packs = (batches - 1) * self._packs_per_batch + self._batch(batches - 1).num_rows if batches else 0

    def __getstate__(self) -> dict[str, object]:
        """A memory map does not travel to another process; it is opened there anew."""
        return {name: value for name, value in vars(self).items() if name not in ("_open", "_batches")}

    @cached_property
    def _open(self) -> pa.ipc.RecordBatchFileReader:
        return pa.ipc.open_file(pa.memory_map(str(self._path)))

    @cached_property
    def _batches(self) -> dict[int, pa.RecordBatch]:
        return {}

    def _batch(self, number: int) -> pa.RecordBatch:
        if number not in self._batches:
            self._batches[number] = self._open.get_batch(number)
        return self._batches[number]

    def documents(self, index: int) -> Iterator[tuple[int, ...]]:
        """Record, format, phrase and newlines of each document of a pack."""
        batch = self._batch(index // self._packs_per_batch)
        columns = [column[index % self._packs_per_batch].values.to_numpy().tolist() for column in batch.columns]
        newlines = columns[3] if len(columns) > 3 else [0] * len(columns[0])
        return zip(*columns[:3], newlines, strict=True)
