"""What every scorer gets and gives: a checkpoint's answers to a benchmark in, samples and scores out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from unix_lib.benchmarks.files import benchmark_file
from unix_lib.benchmarks.rows import RejectedRow
from unix_lib.config.evaluate import JudgeSettings, ScoringSettings
from unix_lib.evaluate.tables import Score
from unix_lib.records.schema import Row

Scoring = TypeVar("Scoring", bound=ScoringSettings)


@dataclass(frozen=True)
class Answers(Generic[Scoring]):
    """One checkpoint's answers to one benchmark, and how they are to be scored."""

    name: str  # of the benchmark
    settings: Scoring  # of the kind's own model
    folder: Path  # artefact `generate/<run>-step-00100-<benchmark>`, already checked
    source: Path | None  # artefact `sources/<source>-benchmarks`, already checked; None for a fetched file or a task
    bootstrap_samples: int
    work: Path  # for what a killed job resumes from, of this benchmark alone
    judges: Mapping[str, JudgeSettings] = field(default_factory=dict)  # of the config, by name
    judging: Path | None = None  # artefact of the kind's `judging`, already checked
    kept: Path = Path("data/judged")  # where what judges say of answers is kept

    def file(self, made: str) -> Path:
        """The fetched file, or the one that a source calls `made`, such as `pope.tsv`.

        Raises:
            BenchmarkError: there is none.
        """
        settings = self.settings
        return benchmark_file(f"evaluate.benchmarks.{self.name}", made, self.source, settings.file)


@dataclass(frozen=True)
class Scored:
    """Scores by one protocol and judge."""

    scores: list[Score]
    protocol: str
    judge: str


@dataclass(frozen=True)
class BenchmarkResult:
    """Scores, rows of `samples/<benchmark>.parquet` and, for images, of `verdicts.parquet`; what was set aside.

    Scores of the same answers by other protocols are in `others`, and what each read them as in `readings`.
    """

    scores: list[Score]
    samples: list[Row]
    protocol: str  # how it was asked and scored, in a few fixed words: only scores of one protocol compare
    judge: str = ""  # kind, version and model; empty without one
    verdicts: list[Row] = field(default_factory=list)
    rejected: list[RejectedRow] = field(default_factory=list)
    lines: list[Row] = field(default_factory=list)  # of `results/<benchmark>.jsonl`, as GenEval's authors write them
    data_sets: list[str] = field(default_factory=list)  # of the hub, with their commits
    others: list[Scored] = field(default_factory=list)
    readings: list[Row] = field(default_factory=list)  # of `readings.parquet`, but for the benchmark's name
