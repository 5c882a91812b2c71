"""The analysis `caption_samples`: what a run's last checkpoint draws of held-out captions of each source."""

from collections.abc import Iterator
from typing import Literal

from unix_lib.artefacts.names import checkpoint_name
from unix_lib.config.analyze import AnalysisJob, AnalysisKind, AnalysisSettings, Inputs, Planned
from unix_lib.config.generate import BenchmarkSampling, Worded
from unix_lib.config.kinds import JobKind
from unix_lib.config.strict import StrictModel, key
from unix_lib.config.train import TrainConfig


class CaptionSample(StrictModel):
    """How many captions are drawn."""

    captions: int = key("held-out captions of each source, an image each", 4, ge=1, le=1000)


class CaptionSamplesSettings(CaptionSample, Worded):
    """The images of one checkpoint."""

    run: str = key("name of the run")
    step: int = key("step of the checkpoint")
    image_sampling: BenchmarkSampling = key("sampling of the images")

    def work(self) -> float:
        """Images of a source."""
        return self.captions


class CaptionSamplesAnalysis(CaptionSample, AnalysisSettings):
    """Images that the last checkpoints of some runs draw of each source's held-out captions."""

    kind: Literal["caption_samples"]
    runs: list[str] = key("runs that draw; empty takes every compared run", [], kind="operational")
    sources: list[str] | None = key("sources; null takes each that has images", None, kind="operational")

    def names(self) -> dict[str, list[str]]:
        return {"runs": self.runs, "sources": self.sources or []}

    def faults(self, train: TrainConfig | None) -> Iterator[str]:
        if train is None:
            yield "runs: there is no training run whose checkpoint could draw; give train.runs"

    def jobs(self, name: str, planned: Planned) -> Iterator[AnalysisJob]:
        tokenizer = planned.tokenizer("image")
        inputs: Inputs = {"image_tokenizer": tokenizer} if tokenizer else {}
        for source in planned.sources() if self.sources is None else self.sources:
            if codes := planned.codes(source):
                inputs[f"records:{source}"] = planned.records(source)
                inputs |= {f"images:{source}": planned.images(source), f"codes:{source}": codes}
        for run in self.runs or planned.compared_runs():
            step = planned.checkpoint_steps(run)[-1]
            if len(inputs) > 1 and step:
                asked = {"image_sampling": planned.image_sampling(), "wording": planned.wording(run)}
                yield AnalysisJob(
                    f"{name}-{checkpoint_name(run, step)}",
                    self.narrowed(CaptionSamplesSettings, run=run, step=step, **asked),
                    inputs | {"checkpoint": planned.checkpoint(run, step)},
                )


KIND = AnalysisKind(
    settings=CaptionSamplesAnalysis,
    job=JobKind(CaptionSamplesSettings, "unix_lib.analyze.caption_samples:make_caption_samples", 2),
    of_every_experiment=True,
)
