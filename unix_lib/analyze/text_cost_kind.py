"""The analysis `text_cost`: how many tokens a character of each source's held-out texts costs, by script."""

from collections.abc import Iterator
from typing import Literal

from unix_lib.config.analyze import AnalysisJob, AnalysisKind, AnalysisSettings, Inputs, Planned
from unix_lib.config.kinds import JobKind
from unix_lib.config.strict import StrictModel, key


class TextCostSettings(StrictModel):
    """How many texts are looked at."""

    texts: int = key("texts of each source that are tokenized", 1000, ge=1, le=1_000_000)

    def work(self) -> float:
        """Texts of a source."""
        return self.texts


class TextCostAnalysis(TextCostSettings, AnalysisSettings):
    """Tokens per character, by source and script."""

    kind: Literal["text_cost"]
    sources: list[str] | None = key("sources; null takes all", None, kind="operational")

    def names(self) -> dict[str, list[str]]:
        return {"sources": self.sources or []}

    def jobs(self, name: str, planned: Planned) -> Iterator[AnalysisJob]:
        sources = planned.sources() if self.sources is None else self.sources
        if tokenizer := planned.tokenizer("text"):
            inputs: Inputs = {"text_tokenizer": tokenizer}
            inputs |= {f"records:{source}": planned.records(source) for source in sources}
            yield AnalysisJob(name, self.narrowed(TextCostSettings), inputs)


KIND = AnalysisKind(
    settings=TextCostAnalysis,
    job=JobKind(TextCostSettings, "unix_lib.analyze.text_cost:make_text_cost", 1),
    of_every_experiment=True,
)
