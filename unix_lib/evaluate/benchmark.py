"""What every benchmark gets and gives: the job's checkpoint and stores in, samples and scores out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from unix_lib.artefacts.errors import UserError
from unix_lib.checkpoints.loaded import Checkpoint
from unix_lib.evaluate.question_files import RejectedRow
from unix_lib.evaluate.store import SampleStore
from unix_lib.evaluate.tables import Score


class BenchmarkError(UserError):
    """A benchmark that can't be scored as its settings ask."""


@dataclass(frozen=True)
class BenchmarkTask:
    """One benchmark on one checkpoint.

    `settings` are those of the recipe; `source` is the artefact of the source that made the benchmark, `file` the
    fetched file; both None for a task of lm-eval's own registry.
    """

    name: str
    settings: dict[str, Any]
    source: Path | None
    file: Path | None
    checkpoint: Checkpoint
    open_store: Callable[[pa.Schema], SampleStore]
    bootstrap_samples: int

    @property
    def chance(self) -> float:
        return float(self.settings["chance"])

    def benchmark_file(self, made: str) -> Path:
        """The fetched file, or the one called `made` in the source's artefact.

        Raises:
            BenchmarkError: the source makes no such benchmark.
        """
        path = self.file if self.source is None else self.source / "benchmarks" / made
        if path is None or not path.is_file():
            raise BenchmarkError(
                f"evaluate.benchmarks.{self.name}: no {path or made}; name a source that makes it, or fetch the file"
            )
        return path


@dataclass(frozen=True)
class BenchmarkResult:
    """Rows of `samples/<benchmark>.parquet` and, for generation, of `images.parquet`; what was set aside; scores.

    `data_sets` are the hub's data sets that were scored on, with their commits.
    """

    scores: list[Score]
    samples: list[dict[str, Any]]
    images: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[RejectedRow] = field(default_factory=list)
    data_sets: list[str] = field(default_factory=list)
