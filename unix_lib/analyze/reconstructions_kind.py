"""The analysis `reconstructions`: what the image tokenizer leaves of each source's held-out images."""

from collections.abc import Iterator
from typing import Literal

from unix_lib.config.analyze import AnalysisJob, AnalysisKind, AnalysisSettings, Inputs, Planned
from unix_lib.config.kinds import JobKind
from unix_lib.config.strict import StrictModel, key


class ReconstructionsSettings(StrictModel):
    """How many images are looked at."""

    images: int = key("images of each source that are reconstructed", 256, ge=1, le=100_000)
    shown: int = key("of these, images of each source in the figure", 8, ge=1, le=100)

    def work(self) -> float:
        """Images of a source."""
        return self.images


class ReconstructionsAnalysis(ReconstructionsSettings, AnalysisSettings):
    """Originals beside reconstructions, and the use of the codebook, by source."""

    kind: Literal["reconstructions"]
    sources: list[str] | None = key("sources; null takes each that has images", None, kind="operational")

    def names(self) -> dict[str, list[str]]:
        return {"sources": self.sources or []}

    def jobs(self, name: str, planned: Planned) -> Iterator[AnalysisJob]:
        tokenizer = planned.tokenizer("image")
        inputs: Inputs = {"image_tokenizer": tokenizer} if tokenizer else {}
        for source in planned.sources() if self.sources is None else self.sources:
            if codes := planned.codes(source):
                inputs |= {f"images:{source}": planned.images(source), f"codes:{source}": codes}
        if len(inputs) > 1:
            yield AnalysisJob(name, self.narrowed(ReconstructionsSettings), inputs)


KIND = AnalysisKind(
    settings=ReconstructionsAnalysis,
    job=JobKind(ReconstructionsSettings, "unix_lib.analyze.reconstructions:make_reconstructions", 1),
    of_every_experiment=True,
)
