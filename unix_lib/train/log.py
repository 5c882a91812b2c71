"""The training log: a row per step, kept in memory, saved with every state, shown now and then.

Two tables come of it: `log.parquet` with what repeats exactly, `speed.parquet` with what doesn't.
"""

import logging
import math
import resource
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from unix_lib.artefacts.files import atomic_path
from unix_lib.config.train import CheckpointSettings
from unix_lib.jobs.standing import current_record
from unix_lib.records.schema import Row
from unix_lib.train.errors import TrainError
from unix_lib.train.state import LOG

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
SPEED = "speed.parquet"
SHOWN = ("loss", "loss_text", "loss_image", "grad_norm", "learning_rate", "tokens_per_second")  # to who looks on
_STATE_SCHEMA = pa.schema([*LOG_SCHEMA, *list(SPEED_SCHEMA)[1:]])


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
    return int(table.num_rows)


def read_rows(path: Path) -> list[Row]:
    """Read back what `write_rows` wrote."""
    rows: list[Row] = pq.read_table(path).to_pylist()
    return rows


def peak_memory_mb() -> float:
    """Largest memory of this process so far: of the GPU where it uses one, else resident, MB."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return float(torch.cuda.max_memory_allocated() / 2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts in KiB


def clock(seconds: float) -> str:
    """`3725` as `1:02:05`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


class StepLog:
    """The rows of a run's steps so far. Every process keeps them, the first one shows some."""

    def __init__(
        self, settings: CheckpointSettings, start: Path | None, *, capacity: int, show_every: int | None
    ) -> None:
        """Begin a segment's log with the rows before it, in the folder of the state that it starts from.

        Args:
            capacity: tokens that a step's packs could hold.
            show_every: steps between two lines on the screen; None shows none.
        """
        self.settings, self.capacity, self.show_every = settings, capacity, show_every
        self.rows: list[Row] = [] if start is None else read_rows(start / LOG)
        self._unshown_tokens, self._unshown_seconds = 0, 0.0
        self._record, self._trained, self._seconds = current_record(), 0, 0.0  # steps of this attempt

    @property
    def tokens(self) -> int:
        """Real tokens trained on."""
        return int(self.rows[-1]["tokens"]) if self.rows else 0

    def add(
        self, step: int, counts: Sequence[float], *, seconds: float, grad_norm: float | None, learning_rate: float
    ) -> None:
        """Note one step.

        Args:
            counts: summed loss of text and of image targets, their numbers, real tokens; of all processes.
            seconds: that it took. grad_norm: before clipping. learning_rate: that it used.

        Raises:
            TrainError: the loss is not finite.
        """
        text_sum, image_sum, text, image, tokens = counts
        losses = losses_of(text_sum, image_sum, int(text), int(image))
        if losses["loss"] is not None and not math.isfinite(losses["loss"]):
            raise TrainError(
                f"run {self.settings.run}: the loss of step {step} is {losses['loss']}; lower "
                "optimization.learning_rate or gradient_clip, or raise warmup_ratio. Saves up to the step before stay"
            )
        row = {"step": step, "tokens": self.tokens + int(tokens)} | losses | {
            "grad_norm": grad_norm,
            "learning_rate": learning_rate,
            "padding_share": 1.0 - tokens / self.capacity,
            "tokens_per_second": tokens / max(seconds, 1e-9),
            "peak_memory_mb": peak_memory_mb(),
        }  # fmt: skip
        self.rows.append(row)
        self._unshown_tokens += int(tokens)
        self._unshown_seconds += seconds
        self._trained, self._seconds = self._trained + 1, self._seconds + seconds
        if self._record is not None:
            left = (self.settings.step - step) * self._seconds / self._trained
            shown: dict[str, float] = {name: row[name] for name in SHOWN if row[name] is not None}  # type: ignore[misc]
            self._record.note(step, self.settings.step, "steps", left, shown)
        if self.show_every is not None and (step % self.show_every == 0 or step == self.settings.step):
            self._show(row, steps=min(self.show_every, len(self.rows)))

    def _show(self, row: Row, steps: int) -> None:
        """Show a step's place and losses, the speed of the last `steps`, and the time left."""
        run, last = self.settings.run, self.settings.step
        shown = [name for name in ("text", "image") if row[f"loss_{name}"] is not None]
        losses = ", ".join(f"{name} {row[f'loss_{name}']:.3f}" for name in shown)
        speed = self._unshown_tokens / max(self._unshown_seconds, 1e-9)
        left = clock((last - row["step"]) * (self._unshown_seconds / steps))
        logger.info(f"{run} step {row['step']}/{last}: loss {losses}; {speed:,.0f} tokens/s, {left} left")
        self._unshown_tokens, self._unshown_seconds = 0, 0.0

    def state_writer(self) -> Callable[[Path], int]:
        """What writes all columns so far into a state, also while further steps are noted."""
        rows = list(self.rows)
        return lambda folder: write_rows(folder / LOG, rows, _STATE_SCHEMA)
