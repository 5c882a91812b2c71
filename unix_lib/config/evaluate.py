"""Config of the `evaluate` stage: benchmarks, their groups, and who judges them."""

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import model_validator

from unix_lib.config.analyze import Inputs, Planned
from unix_lib.config.generate import GenerateConfig
from unix_lib.config.jobs import BatchedExecution, Execution, JobShape
from unix_lib.config.kinds import JobKind, Kind, KindField, find_kind
from unix_lib.config.needs import Need
from unix_lib.config.outside import FilesIdentity, Outside, ReadsOutside
from unix_lib.config.shipped import SHIPPED, file_at
from unix_lib.config.strict import Model, StrictModel, key, nearest

Family = Literal["text", "understanding", "generation"]
# What a judge may be asked: which objects an image shows, a question about an image, what words mean.
JudgeAnswer = Literal["objects", "question", "words"]


class JudgeSettings(StrictModel):
    """The config of a judge of any kind; what enters the recipe is that and its kind's logic version."""

    kind: str = key("kind of judge: one of the project's, or a module of your own")

    protocol: ClassVar[str] = "geneval"  # of GenEval's scores by such a judge
    at_once: ClassVar[int] = 64  # images it is shown together

    def needs(self, name: str) -> list[Need]:
        """What the judge called `name` needs from outside."""
        return []

    def model_name(self) -> str:
        """Which model or program it is, for readers of its scores; empty where its kind says it."""
        return ""

    def least_confidence(self, task: str) -> float | None:
        """How confident it must be, and more, of an object that counts for a prompt of a GenEval task; None of any."""
        return None

    @property
    def has_threshold(self) -> bool:
        """Whether it judges as GenEval's authors do, by a confidence; then results are written as they write them."""
        return self.least_confidence("") is not None


class Confidences(JudgeSettings):
    """The config of a judge that is not equally sure of all that it sees."""

    confidence: float | None = key(
        "objects count that it is more confident of, 0..1; null counts all", None, sparse=True, ge=0, le=1
    )
    counting_confidence: float | None = key(
        "the same for GenEval's prompts that ask for a number of objects; null is as `confidence`",
        None,
        sparse=True,
        ge=0,
        le=1,
    )

    def least_confidence(self, task: str) -> float | None:
        counting = task == "counting" and self.counting_confidence is not None
        return self.counting_confidence if counting else self.confidence


@dataclass(frozen=True)
class JudgeKind(Kind[Any]):
    """A kind of judge: which questions it answers, and the function that opens it.

    `open` is "module:function" and takes (settings, image_size); it gives an object with the methods of
    `unix_lib.judges.judge` that `answers` names.
    """

    open: str = field(kw_only=True)
    logic_version: int = field(kw_only=True)
    answers: Sequence[JudgeAnswer] = field(kw_only=True)


KEPT = "folder in which what judges say of words is kept, of all experiments"


class JudgingExecution(Execution):
    """A job that may ask judges: how long to wait for one, and whatever else changes no verdict."""

    judges: dict[str, Annotated[JudgeSettings, KindField("judge", JudgeKind)]] = key(
        "judges by name, beside 'scenes'", {}, kind="operational"
    )
    judged: str = key(KEPT, "data/judged", kind="operational", min_length=1)


class JudgedBatches(BatchedExecution, JudgingExecution):
    """A job that computes in batches and may ask judges."""


class BenchmarkSettings(StrictModel):
    """The config of a benchmark of any scorer."""

    scorer: str = key("which scorer: one of the project's, or a module of your own")
    source: str | None = key("a source of this experiment that makes the benchmark's file", None)
    file: str | None = key(
        f"a file in the benchmark's own layout, or the name of one that comes with the library: {', '.join(SHIPPED)}",
        None,
        min_length=1,
    )
    chance: float = key("score of a blind guesser, 0..1", 0.0, ge=0, le=1)
    limit: int | None = key("only the first this many samples", None, ge=1, le=1_000_000_000)

    of_records: ClassVar[bool] = False  # whether it is about a source's records, not about a benchmark that it makes

    def origins(self) -> dict[str, str | None]:
        """Where its questions may come from, by key; exactly one is given."""
        return {"source": self.source, "file": self.file}

    @abstractmethod
    def made(self) -> str:
        """Which of a source's benchmarks it scores on, as `SourceSettings.benchmarks` names them."""

    def inputs(self, planned: Planned) -> Inputs:
        """Artefacts of the experiment that its questions come from, by role."""
        return {} if self.source is None else {"benchmark": planned.benchmarks(self.source)}

    def judging_inputs(self, planned: Planned) -> Inputs:
        """The same of what the kind's `judging` reads beside the answers."""
        return self.inputs(planned)

    def faults(self, captioned: Collection[str], trained: Collection[str]) -> Iterator[str]:
        """What keeps it from being planned, each beginning with the key that is wrong.

        Args:
            captioned: names of records of images with captions.
            trained: names of records that compared runs are trained on.
        """
        return iter(())

    def reader(self) -> str | None:
        """A judge by its name under evaluate.judges that reads answers which rules can't."""
        return None

    def image_files(self) -> dict[str, str]:
        """Files of questions about images that are no source's, with their layouts."""
        return {}

    def generation(self, model: type[Model], config: GenerateConfig) -> Model:
        """Settings of the job that lets a checkpoint answer it."""
        return self.narrowed(model)

    def scoring(self, model: type[Model], generate: GenerateConfig, judges: Mapping[str, JudgeSettings]) -> Model:
        """Settings that its answers are scored with."""
        version = find_kind("scorer", self.scorer, ScorerKind).logic_version
        return self.narrowed(model, scorer_version=version, **self.scored_by(generate, judges))

    def scored_by(self, generate: GenerateConfig, judges: Mapping[str, JudgeSettings]) -> dict[str, Any]:
        """What these settings have from elsewhere in the config."""
        return {}

    def needs(self, name: str) -> list[Need]:
        """What the benchmark called `name` needs from outside."""
        files = self.files_from_outside()
        return [Need(f"benchmark {name}: {file}", local=Path(file)) for file in files if file not in SHIPPED]

    def files_from_outside(self) -> list[str]:
        """Files that it reads, as its config names them."""
        return [] if self.file is None else [self.file]

    @model_validator(mode="after")
    def _one_origin(self) -> "BenchmarkSettings":
        origins = self.origins()
        given = [name for name, value in origins.items() if value is not None]
        if len(given) != 1:
            known = ", ".join(f"'{name}'" for name in origins)
            raise ValueError(f"give exactly one of {known}, not {given or 'none'}")
        return self


class Judged(StrictModel):
    """Who judges."""

    judge: Annotated[JudgeSettings, KindField("judge", JudgeKind)] = key("what reads an image")
    judge_version: int = key("logic version of the judge's kind")


class JudgedBenchmark(BenchmarkSettings):
    """The config of a benchmark whose answers a judge reads."""

    judge: str = key("a judge by its name under evaluate.judges; 'scenes' reads rendered scenes", "scenes")

    asks: ClassVar[JudgeAnswer] = "objects"  # what the judge must answer

    def scored_by(self, generate: GenerateConfig, judges: Mapping[str, JudgeSettings]) -> dict[str, Any]:
        judge = judges[self.judge]
        version = find_kind("judge", judge.kind, JudgeKind).logic_version
        return super().scored_by(generate, judges) | {"judge": judge, "judge_version": version}


class BenchmarkFile(ReadsOutside):
    """Where a benchmark's questions are, and how many of them count."""

    file: str | None = key("the file that they are in; null for a source's", None)
    limit: int | None = key("only the first this many samples", None)

    named_by = "file"

    def files(self) -> list[Path]:
        """Where they are."""
        return [] if self.file is None else [file_at(self.file)]

    def identify(self, outside: Outside) -> FilesIdentity | None:
        files = self.files()
        return outside.files(files) if files else None


class ScoringSettings(BenchmarkFile):
    """What every benchmark's answers are scored with; kinds add their own keys."""

    scorer: str = key("which scorer")
    scorer_version: int = key("logic version of the scorer")
    source: str | None = key("the source that made the questions", None)
    chance: float = key("score of a blind guesser")

    @property
    def by_task(self) -> bool:
        """Whether the headline score is a mean over tasks or categories."""
        return False


@dataclass(frozen=True)
class ScorerKind(Kind[Any]):
    """A kind of scorer: how a checkpoint answers its benchmarks, and how answers become scores.

    `generate` is the job that stores a checkpoint's answers; its function takes (job, checkpoint). `score` is
    "module:function": it takes an `unix_lib.evaluate.benchmark.Answers` and gives a `BenchmarkResult`, without torch
    where it can.
    """

    family: Family = field(kw_only=True)
    generate: JobKind[Any] = field(kw_only=True)
    score: str = field(kw_only=True)
    scoring: type[ScoringSettings] = field(kw_only=True)
    logic_version: int = field(kw_only=True)
    has_images: bool = True  # a checkpoint needs the image tokenizer to answer
    # Whether its `generate` also asks a model behind an endpoint, where the job's execution is an `AskingExecution`.
    asks_endpoints: bool = False
    ceiling: JobKind[Any] | None = None  # the best score that the image tokenizer allows, for a source's own benchmark
    # Reads a checkpoint's answers with what takes long, such as a judge of many questions: a job, so that it resumes.
    judging: JobKind[Any] | None = None
    # "module:function" that writes a checkpoint's images as the benchmark's authors lay them out; see
    # `unix_lib.evaluate.layouts`.
    layout: str | None = None


class ScoresSettings(StrictModel):
    """What the scores of one checkpoint in one group depend on beside its answers."""

    run: str = key("name of the run")
    step: int = key("step of the checkpoint")
    group: str = key("name of the group")
    benchmarks: dict[str, Annotated[ScoringSettings, KindField("scorer", ScorerKind, "scorer", "scoring")]] = key(
        "how each benchmark is scored"
    )
    bootstrap_samples: int = key("resamples behind a bootstrap interval")


SCORES = JobKind(ScoresSettings, "unix_lib.evaluate.make:make_scores", 1, JudgingExecution)


class EvaluateConfig(Execution):
    """Which benchmarks each checkpoint answers, in which groups, and how answers become scores."""

    benchmarks: dict[str, Annotated[BenchmarkSettings, KindField("scorer", ScorerKind, "scorer")]] = key(
        "benchmarks by name", min_length=1
    )
    groups: dict[str, list[str]] = key("benchmarks that one job evaluates together, by group name", min_length=1)
    mixtures: dict[str, str] = key(
        "a mixture by group: only runs that are trained on it answer the group; every compared run answers the others",
        {},
        kind="operational",
    )
    judges: dict[str, Annotated[JudgeSettings, KindField("judge", JudgeKind)]] = key(
        "judges by name, beside 'scenes'", {}
    )
    judged: str = key(KEPT, "data/judged", kind="operational", min_length=1)
    bootstrap_samples: int = key("resamples behind a bootstrap interval", 2000, ge=100, le=100_000)
    job: JobShape = key("shape of a scoring job", JobShape(threads=1, runtime_minutes=120), kind="operational")

    def all_judges(self) -> dict[str, JudgeSettings]:
        """Judges by name; 'scenes' reads the project's own rendered scenes."""
        scenes = find_kind("judge", "scene_detector", JudgeKind).settings
        return {"scenes": scenes(kind="scene_detector")} | self.judges

    @model_validator(mode="after")
    def _groups_fit(self) -> "EvaluateConfig":
        grouped = [name for names in self.groups.values() for name in names]
        for name in grouped:
            if name not in self.benchmarks:
                raise ValueError(f"group names benchmark '{name}', which 'benchmarks' does not define")
            if grouped.count(name) > 1:
                raise ValueError(f"benchmark '{name}' is in two groups; keep it in one")
        for group in self.mixtures:
            if group not in self.groups:
                raise ValueError(f"mixtures: '{group}' is no group; {nearest(group, list(self.groups))}")
        missing = sorted(set(self.benchmarks) - set(grouped))
        if missing:
            raise ValueError(f"benchmark '{missing[0]}' is in no group; add it to one")
        return self
