"""Config of the `analyze` stage: analyses by name, each of some kind."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Protocol

from pydantic import model_validator

from unix_lib.config.generate import BenchmarkSampling, Wording
from unix_lib.config.jobs import Execution, JobShape
from unix_lib.config.kinds import JobKind, Kind, KindField
from unix_lib.config.needs import Need
from unix_lib.config.strict import StrictModel, key
from unix_lib.config.train import TrainConfig

Inputs = dict[str, str | list[str]]  # role -> artefact(s), "stage/name-digest"


class Planned(Protocol):
    """What an analysis may build on, as far as the plan has got: artefacts, "stage/name-digest"."""

    def sources(self) -> list[str]: ...
    def records(self, source: str) -> list[str]: ...
    def images(self, source: str) -> list[str]: ...
    def codes(self, source: str) -> list[str]: ...
    def benchmarks(self, source: str) -> str: ...
    def tokenizer(self, of: Literal["text", "image"]) -> str | None: ...
    def text_tokenizer(self) -> str: ...
    def pack(self, mixture: str) -> str: ...
    def pack_of(self, run: str) -> str: ...
    def checkpoint(self, run: str, step: int) -> str: ...
    def checkpoint_steps(self, run: str) -> list[int]: ...
    def compared_runs(self) -> list[str]: ...
    def image_sampling(self) -> BenchmarkSampling: ...
    def wording(self, run: str) -> Wording: ...


@dataclass(frozen=True)
class AnalysisJob:
    """One job of an analysis: its artefact's name, its settings and what it reads."""

    name: str
    settings: StrictModel
    inputs: Inputs


class AnalysisSettings(StrictModel):
    """The config of an analysis of any kind."""

    kind: str = key("kind of analysis: one of the project's, or a module of your own")

    @abstractmethod
    def jobs(self, name: str, planned: Planned) -> Iterator[AnalysisJob]:
        """The jobs of the analysis called `name`."""

    def names(self) -> dict[str, list[str]]:
        """Names of sources, mixtures and runs that it speaks of, by key: `sources`, `mixture`, `runs`."""
        return {}

    def faults(self, train: TrainConfig | None) -> Iterator[str]:
        """What keeps it from being planned beside these runs, each beginning with the key that is wrong."""
        return iter(())

    def needs(self, name: str) -> list[Need]:
        """What the analysis called `name` needs from outside."""
        return []


@dataclass(frozen=True)
class AnalysisKind(Kind[Any]):
    """A kind of analysis: figures read what it makes in the role of its name.

    One that is `of_every_experiment` is made without being named, for the figures that read it: what it needs no word
    for are the user's own data.
    """

    job: JobKind[Any] = field(kw_only=True)
    of_every_experiment: bool = False


class AnalyzeConfig(Execution):
    """Analyses by name. In YAML they stand beside `job`; an analysis called like a kind is of that kind."""

    analyses: dict[str, Annotated[AnalysisSettings, KindField("analysis", AnalysisKind)]] = key("analyses by name", {})
    job: JobShape = key("shape of an analysis job", JobShape(threads=1, runtime_minutes=240), kind="operational")

    @model_validator(mode="before")
    @classmethod
    def _analyses_by_name(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "analyses" in values:
            return values
        analyses = {
            name: {"kind": name} | value if isinstance(value, dict) else value
            for name, value in values.items()
            if name != "job"
        }
        return {name: value for name, value in values.items() if name == "job"} | {"analyses": analyses}
