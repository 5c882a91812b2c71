"""The analysis `power_spectrum`: how the power of each source's images falls with frequency, beside photographs."""

from collections.abc import Iterator
from typing import Literal

from unix_lib.config.analyze import AnalysisJob, AnalysisKind, AnalysisSettings, Inputs, Planned
from unix_lib.config.kinds import JobKind
from unix_lib.config.strict import StrictModel, key


class PowerSpectrumSettings(StrictModel):
    """How many images are looked at."""

    images: int = key("held-out images of each source", 256, ge=1, le=100_000)

    def work(self) -> float:
        """Images of a source."""
        return self.images


class PowerSpectrumAnalysis(PowerSpectrumSettings, AnalysisSettings):
    """Radial power spectrum of each source's images, and of the photographs that scikit-learn ships."""

    kind: Literal["power_spectrum"]

    def jobs(self, name: str, planned: Planned) -> Iterator[AnalysisJob]:
        tokenizer = planned.tokenizer("image")
        inputs: Inputs = {"image_tokenizer": tokenizer} if tokenizer else {}
        for source in planned.sources():
            if codes := planned.codes(source):
                inputs |= {f"images:{source}": planned.images(source), f"codes:{source}": codes}
        if len(inputs) > 1:
            yield AnalysisJob(name, self.narrowed(PowerSpectrumSettings), inputs)


KIND = AnalysisKind(
    settings=PowerSpectrumAnalysis,
    job=JobKind(PowerSpectrumSettings, "unix_lib.analyze.power_spectrum:make_power_spectrum", 1),
)
