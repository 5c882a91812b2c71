"""Shows a run's losses on the trackers that its config names; only the first process does."""

from collections.abc import Iterator
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from unix_lib.config.train import CheckpointSettings, TrainExecution
from unix_lib.jobs.job import Job
from unix_lib.records.schema import Row
from unix_lib.trackers.curve import Curve
from unix_lib.trackers.follower import Followers, Point
from unix_lib.train.errors import TrainError
from unix_lib.train.log import StepLog
from unix_lib.train.measurements import Measurements

TRAIN = (
    *("loss", "loss_text", "loss_image", "grad_norm", "learning_rate", "padding_share", "tokens"),
    *("tokens_per_second", "peak_memory_mb"),
)
HELDOUT = ("loss", "loss_text", "loss_image")
TRACKING = "tracking"  # folder in the results


class TrackingCallback(TrainerCallback):
    """After each step, behind the callback that logs and measures it."""

    def __init__(
        self, job: Job[CheckpointSettings, TrainExecution], steps: StepLog, measurements: Measurements, first: bool
    ) -> None:
        """`steps` and `measurements` hold what the run has so far.

        Raises:
            TrainError: a tracker's package is missing.
        """
        settings, tracking = job.settings, job.execution.tracking
        if fault := tracking.fault():
            raise TrainError(fault)
        self._steps, self._measurements = steps, measurements
        curve = Curve(
            run=settings.run,
            digest=settings.run_digest,
            experiment=job.results.name,
            folder=job.results / TRACKING,
            tracking=tracking if first else tracking.model_copy(update={"trackers": []}),
            settings=settings.semantic(),
        )
        self._followers = Followers(curve)

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        for point in _points(self._steps.rows, self._measurements.rows):  # a tracker may have missed some
            self._followers.tell(*point)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._tell(state.global_step)

    def _tell(self, step: int) -> None:
        rows = [row for row in self._steps.rows[-1:] if row["step"] == step]
        heldout = [row for row in self._measurements.rows[-1:] if row["step"] == step]
        for point in _points(rows, heldout):
            self._followers.tell(*point)

    def close(self) -> None:
        """After the last measurement: show it, and let the trackers finish."""
        self._tell(self._steps.rows[-1]["step"])
        self._followers.close()


def _points(rows: list[Row], heldout: list[Row]) -> Iterator[Point]:
    """What trackers show at each step."""
    at: dict[int, dict[str, float]] = {}
    for prefix, columns, table in (("train", TRAIN, rows), ("heldout", HELDOUT, heldout)):
        for row in table:
            values = {f"{prefix}/{name}": row[name] for name in columns if row.get(name) is not None}
            at.setdefault(row["step"], {}).update(values)
    return iter(sorted(at.items()))
