"""The analysis `conflict`: gradient conflict c = -(S_inter - S_base) per layer and projection of each checkpoint."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import model_validator

from unix_lib.analyze.checkpoints import measured_checkpoints, steps_that_are_none
from unix_lib.artefacts.names import checkpoint_name
from unix_lib.config.analyze import AnalysisJob, AnalysisKind, AnalysisSettings, Planned
from unix_lib.config.checkpoints import Step
from unix_lib.config.kinds import JobKind
from unix_lib.config.strict import StrictModel, key
from unix_lib.config.train import TrainConfig


class ConflictMeasurement(StrictModel):
    """How a checkpoint is measured."""

    # PAPER: 1000 samples, the seven projections of a layer.
    mixture: str = key("mixture whose documents are sampled")
    documents: int = key("documents per modality", 500, ge=4, le=1_000_000)
    chunks: int = key(
        "chunks each modality's documents are cut into; random splits recombine them", 8, ge=4, le=1024, multiple_of=4
    )
    splits: int = key("random splits behind the spread", 20, ge=2, le=10_000)
    seed: int = key("seed of the documents and of the splits", 218, ge=0, lt=2**64)
    reliability: float | None = key(
        "take documents in rounds until the gradients of every layer are this reliable (the smaller of the cosines "
        "between two halves of the texts and of the images), or `documents` are reached; null takes all at once",
        None,
        sparse=True,
        gt=0,
        lt=1,
    )
    round_documents: int = key(
        "documents per modality of a round, where there are rounds", 64, sparse=True, ge=4, le=1_000_000
    )
    every_epoch: bool = key(
        "take documents of all packed epochs, each record once, not of the first alone: where the scarcer modality's "
        "sources have weights below 1, these are more",
        False,
        sparse=True,
    )
    breakdown: bool = key("also measure each head and each norm", False, sparse=True)

    @model_validator(mode="after")
    def _chunks_hold_documents(self) -> Self:
        if self.documents < self.chunks:
            raise ValueError(
                f"documents {self.documents} can't be cut into {self.chunks} chunks; raise documents or lower chunks"
            )
        if self.reliability is not None and (
            self.round_documents % self.chunks or self.documents < self.round_documents
        ):
            raise ValueError(
                f"a round of {self.round_documents} documents has to fill {self.chunks} chunks alike, and all "
                f"{self.documents} documents have to be a round at least; take a multiple of chunks, or raise documents"
            )
        return self


class ConflictSettings(ConflictMeasurement):
    """The measurement of one checkpoint."""

    run: str = key("name of the run")
    step: int = key("step of the checkpoint")

    def work(self) -> float:
        """Documents, of both modalities."""
        return 2 * self.documents


class ConflictAnalysis(ConflictMeasurement, AnalysisSettings):
    """Gradient conflict of the checkpoints of some runs."""

    kind: Literal["conflict"]
    runs: list[str] = key("runs analysed; empty takes every compared run", [], kind="operational")
    steps: list[Step] = key(
        "checkpoint steps analysed, of every one of these runs; empty takes all but 0", [], kind="operational"
    )

    def names(self) -> dict[str, list[str]]:
        return {"mixture": [self.mixture], "runs": self.runs}

    def faults(self, train: TrainConfig | None) -> Iterator[str]:
        if train is None:
            yield "runs: there is no training run to analyse; give train.runs"
            return
        yield from steps_that_are_none(train, self.runs, self.steps)

    def jobs(self, name: str, planned: Planned) -> Iterator[AnalysisJob]:
        for run, step in measured_checkpoints(planned, self.runs, self.steps):
            yield AnalysisJob(
                f"{name}-{checkpoint_name(run, step)}",
                self.narrowed(ConflictSettings, run=run, step=step),
                {"checkpoint": planned.checkpoint(run, step), "pack": planned.pack(self.mixture)},
            )


KIND = AnalysisKind(settings=ConflictAnalysis, job=JobKind(ConflictSettings, "unix_lib.analyze.make:make_conflict", 2))
