"""The training log: a row per step, kept in memory, saved with every state, shown now and then.

Two tables come of it: `log.parquet` with what repeats exactly, `speed.parquet` with what doesn't.
"""

import logging
import resource
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from unix_lib.artefacts.files import atomic_path

logger = logging.getLogger(__name__)

LOSSES = [
    ("loss", pa.float64()),  # nats per target
    ("loss_text", pa.float64()),  # null where a step has no text target
    ("loss_image", pa.float64()),
    ("tokens_text", pa.int64()),  # targets behind loss_text
    ("tokens_image", pa.int64()),
]
HELDOUT_SCHEMA = pa.schema([("step", pa.int64()), ("tokens", pa.int64()), *LOSSES])
LOG_SCHEMA = pa.schema(
    [
        *HELDOUT_SCHEMA,
        ("grad_norm", pa.float64()),  # before clipping
        ("learning_rate", pa.float64()),
        ("padding_share", pa.float64()),
    ]
)
SPEED_SCHEMA = pa.schema([("step", pa.int64()), ("tokens_per_second", pa.float64()), ("peak_memory_mb", pa.float64())])
_STATE_SCHEMA = pa.schema([*LOG_SCHEMA, *list(SPEED_SCHEMA)[1:]])

Row = dict[str, Any]


def losses_of(text_sum: float, image_sum: float, text: int, image: int) -> Row:
    """The columns that measure a loss, from sums over targets."""
    total = text + image
    return {
        "loss": (text_sum + image_sum) / total if total else None,
        "loss_text": text_sum / text if text else None,
        "loss_image": image_sum / image if image else None,
        "tokens_text": text,
        "tokens_image": image,
    }


def write_rows(path: Path, rows: Iterable[Row], schema: pa.Schema) -> int:
    """Write the schema's columns of some rows; returns the number of rows."""
    table = pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema=schema)
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary)
    return table.num_rows


def read_rows(path: Path) -> list[Row]:
    """Read back what `write_rows` wrote."""
    return pq.read_table(path).to_pylist()


def write_state_rows(path: Path, rows: Sequence[Row]) -> None:
    """All columns, for a state."""
    write_rows(path, rows, _STATE_SCHEMA)


def peak_memory_mb() -> float:
    """Largest memory of this process so far: of the GPU where it uses one, else resident, MB."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts in KiB


def clock(seconds: float) -> str:
    """`3725` as `1:02:05`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def progress_line(run: str, row: Row, *, last_step: int, seconds_per_step: float, tokens_per_second: float) -> str:
    """What is shown of a step: place, losses, speed, time left."""
    losses = ", ".join(
        f"{name} {row[f'loss_{name}']:.3f}" for name in ("text", "image") if row[f"loss_{name}"] is not None
    )
    left = clock((last_step - row["step"]) * seconds_per_step)
    return f"{run} step {row['step']}/{last_step}: loss {losses}; {tokens_per_second:,.0f} tokens/s, {left} left"
