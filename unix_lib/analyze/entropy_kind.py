"""The analysis `entropy`: conditional n-gram entropy of text tokens and image codes at one token budget."""

from collections.abc import Iterator
from typing import Literal

from unix_lib.config.analyze import AnalysisJob, AnalysisKind, AnalysisSettings, Inputs, Planned
from unix_lib.config.kinds import JobKind
from unix_lib.config.strict import StrictModel, key


class EntropySettings(StrictModel):
    """How sources are measured."""

    sources: list[str] = key("sources compared", min_length=1)
    orders: int = key("largest n", 5, ge=1, le=5)
    budget: int = key("tokens taken from each source; a smaller source lowers it for all", 1_000_000, ge=100, le=10**12)
    sample_sizes: int = key("points of the curve over sample size", 6, ge=2, le=1000)
    seed: int = key("seed of the order in which sequences enter the budget", 218, ge=0, lt=2**64)

    def work(self) -> float:
        """Thousands of tokens that are counted."""
        return self.budget * len(self.sources) * self.orders / 1000


class EntropyAnalysis(EntropySettings, AnalysisSettings):
    """Conditional entropy of the training data."""

    kind: Literal["entropy"]

    def names(self) -> dict[str, list[str]]:
        return {"sources": self.sources}

    def jobs(self, name: str, planned: Planned) -> Iterator[AnalysisJob]:
        inputs: Inputs = {"text_tokenizer": planned.text_tokenizer()}
        for source in self.sources:
            inputs[f"records:{source}"] = planned.records(source)
            if codes := planned.codes(source):
                inputs[f"codes:{source}"] = codes
        yield AnalysisJob(name, self.narrowed(EntropySettings), inputs)


KIND = AnalysisKind(settings=EntropyAnalysis, job=JobKind(EntropySettings, "unix_lib.analyze.make:make_entropy", 1))
