"""The analysis `heldout_loss`: a checkpoint's loss on held-out documents, of each source and modality."""

from collections.abc import Iterator
from typing import Literal

from unix_lib.analyze.checkpoints import measured_checkpoints, steps_that_are_none
from unix_lib.artefacts.names import checkpoint_name
from unix_lib.config.analyze import AnalysisJob, AnalysisKind, AnalysisSettings, Planned
from unix_lib.config.checkpoints import Step
from unix_lib.config.kinds import JobKind
from unix_lib.config.strict import StrictModel, key
from unix_lib.config.train import TrainConfig


class HeldoutLossMeasurement(StrictModel):
    """How a checkpoint is measured."""

    documents: int = key("held-out documents of each source", 128, ge=1, le=1_000_000)
    seed: int = key("seed of the choice of documents", 218, ge=0, lt=2**64)


class HeldoutLossSettings(HeldoutLossMeasurement):
    """The measurement of one checkpoint."""

    run: str = key("name of the run")
    step: int = key("step of the checkpoint")

    def work(self) -> float:
        """Documents of a source."""
        return self.documents


class HeldoutAnalysis(HeldoutLossMeasurement, AnalysisSettings):
    """What is measured on held-out documents of the checkpoints of some runs."""

    runs: list[str] = key("runs measured; empty takes every compared run", [], kind="operational")
    steps: list[Step] = key(
        "checkpoint steps measured, of every one of these runs; empty takes all but 0", [], kind="operational"
    )

    mixture: str | None = key(
        "mixture whose held-out documents are measured, such as one of data that no run is trained on; null takes each "
        "run's own",
        None,
        kind="operational",
    )

    def names(self) -> dict[str, list[str]]:
        return {"runs": self.runs, "mixture": [] if self.mixture is None else [self.mixture]}

    def faults(self, train: TrainConfig | None) -> Iterator[str]:
        if train is None:
            yield "runs: there is no training run to measure; give train.runs"
        else:
            yield from steps_that_are_none(train, self.runs, self.steps)

    def jobs(self, name: str, planned: Planned) -> Iterator[AnalysisJob]:
        for run, step in measured_checkpoints(planned, self.runs, self.steps):
            yield AnalysisJob(
                f"{name}-{checkpoint_name(run, step)}",
                self.narrowed(HeldoutLossSettings, run=run, step=step),
                {"checkpoint": planned.checkpoint(run, step), "pack": self._pack(planned, run)},
            )

    def _pack(self, planned: Planned, run: str) -> str:
        return planned.pack_of(run) if self.mixture is None else planned.pack(self.mixture)


class HeldoutLossAnalysis(HeldoutAnalysis):
    """Held-out loss of the checkpoints of some runs."""

    kind: Literal["heldout_loss"]


KIND = AnalysisKind(
    settings=HeldoutLossAnalysis,
    job=JobKind(HeldoutLossSettings, "unix_lib.analyze.heldout_loss:make_heldout_loss", 1),
    of_every_experiment=True,
)
