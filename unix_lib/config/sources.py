"""What every source has in its config, and the jobs that a kind of source has."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from unix_lib.config.kinds import JobKind, Kind
from unix_lib.config.needs import Need
from unix_lib.config.outside import Outside
from unix_lib.config.strict import Model, StrictModel, key


class SourceSettings(StrictModel):
    """The config of a source of any kind."""

    kind: str = key("kind of source: one of the project's, or a module of your own")

    def settings_of(self, model: type[Model], outside: Outside) -> Model:
        """Settings of one of the source's jobs; a source of outside files adds what they are."""
        return self.narrowed(model)

    def benchmarks(self) -> tuple[str, ...]:
        """Names of the benchmarks that the source makes."""
        return ()

    def needs(self, name: str) -> list[Need]:
        """What the source called `name` needs from outside."""
        return []

    def described(self) -> str:
        """The data in a few words, for the sentence on an experiment's scale."""
        return self.kind.rpartition(".")[2]


@dataclass(frozen=True)
class SourceKind(Kind[Any]):
    """A kind of source: up to three jobs, so that a corrected caption encodes no image again.

    `records` makes texts, captions and conversations; `images` what they show, keyed by what decides the pixels alone;
    `benchmarks` what is asked about held-out samples. `reads` says which of these jobs a job takes as inputs.
    """

    records: JobKind[Any] = field(kw_only=True)
    images: JobKind[Any] | None = None
    benchmarks: JobKind[Any] | None = None
    reads: dict[str, tuple[str, ...]] = field(default_factory=dict)
    JOBS: ClassVar[tuple[str, ...]] = ("images", "records", "benchmarks")  # in the order of the flow
