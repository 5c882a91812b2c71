"""What planning must know of tokenized records: a few bytes each, in memory; their tokens are not among it."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa


@dataclass(frozen=True)
class Records:
    """Columns of N records in the order in which they came, and of all their turns."""

    forms: np.ndarray  # uint8 (N,), `Format`; an image stands as TEXT_TO_IMAGE, one without caption as UNCONDITIONAL
    parts: np.ndarray  # int32 (N,), the mixture's part that it came from
    samples: np.ndarray  # uint64 (N,), hash of source and sample id
    text_lengths: np.ndarray  # int32 (N,), own tokens
    trained_lengths: np.ndarray  # int32 (N,), those of them that may be trained
    first_trained: np.ndarray  # bool (N,), whether the first of them may
    image_counts: np.ndarray  # int32 (N,), images that it shows
    turn_counts: np.ndarray  # int32 (N,), turns of a record that is tokenized turn by turn
    turns: np.ndarray  # bool (sum of turn_counts,), whether a turn may be trained

    def __len__(self) -> int:
        return len(self.forms)

    def only(self, rows: np.ndarray) -> "Records":
        """Some records, int64 (M,), each as often as it is named."""
        columns = {name: getattr(self, name)[rows] for name in _NAMES if name != "turns"}
        counts, ends = columns["turn_counts"], np.cumsum(columns["turn_counts"])
        first = (np.cumsum(self.turn_counts) - self.turn_counts)[rows]
        places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(first - (ends - counts), counts)
        return Records(**columns, turns=self.turns[places])

    @classmethod
    def concatenated(cls, pieces: Sequence["Records"]) -> "Records":
        """Those of several, in order; of none, none."""
        return cls(**{name: np.concatenate([getattr(piece, name) for piece in (NONE, *pieces)]) for name in _NAMES})

    def write(self, path: Path) -> None:
        """Write them to an Arrow file, a column a list."""
        table = pa.table({name: [getattr(self, name)] for name in _NAMES})
        with pa.ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(table)

    @classmethod
    def read(cls, path: Path) -> "Records":
        """Those that `write` wrote."""
        table = pa.ipc.open_file(str(path)).read_all()
        return cls(**{name: table[name][0].values.to_numpy(zero_copy_only=False) for name in _NAMES})


_NAMES = [field.name for field in fields(Records)]
_TYPES = (np.uint8, np.int32, np.uint64, np.int32, np.int32, np.bool_, np.int32, np.int32, np.bool_)
NONE = Records(*(np.zeros(0, dtype=each) for each in _TYPES))
