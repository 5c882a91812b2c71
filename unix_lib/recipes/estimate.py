"""How long a job is likely to take: what jobs of its kind took, scaled by work; never measured, by its operations."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from unix_lib.config.jobs import JobShape
from unix_lib.recipes.known_jobs import PlannedJobs
from unix_lib.recipes.plan import Plan
from unix_lib.recipes.wall_times import (
    Key,
    WallTime,
    key_of,
    read_wall_times,
    share_of_processor,
    wall_times_here,
)
from unix_lib.recipes.work import Work, work_of

START_SECONDS = 5.0  # ASSUME: of a process that imports torch, before it does anything
# ASSUME: what a CPU core does of matrix products, and 40% of an H100's 989 TFLOP/s in bfloat16; of that a tenth where
# tokens are generated one at a time.
CORE_OPERATIONS, GPU_OPERATIONS, GENERATED_SHARE = 20e9, 0.4 * 989e12, 0.1
THINGS_PER_SECOND = 1000.0  # ASSUME: documents, images, questions
ANSWERS_PER_SECOND = 10.0  # ASSUME: captions that an endpoint on one GPU translates
# How far an estimate may be off, as a factor: own measurements at least, other experiments' at least, none.
LEAST_SPREAD, FOREIGN_SPREAD, UNMEASURED_SPREAD = 1.2, 2.0, 5.0


@dataclass(frozen=True)
class Estimate:
    """Seconds of a job, give or take a factor of `spread`."""

    seconds: float
    spread: float
    measured: bool  # by jobs of its kind


@dataclass(frozen=True)
class Rate:
    """`start + per_work * work` seconds."""

    start: float
    per_work: float
    spread: float

    @classmethod
    def of(cls, measured: list[WallTime], least_spread: float) -> "Rate":
        """The median of what was measured beyond starting up."""
        start = min(START_SECONDS, min(time.seconds for time in measured) / 2)
        per_work = median((time.seconds - start) / max(time.work, 1e-9) for time in measured)
        expected = [start + per_work * time.work for time in measured]
        ratios = [time.seconds / seconds for time, seconds in zip(measured, expected, strict=True) if seconds > 0]
        off = sorted(max(ratio, 1 / ratio) for ratio in ratios if ratio > 0)
        # The worst tenth may be a machine that was busy with something else.
        spread = off[int(0.9 * (len(off) - 1))] if off else least_spread
        return cls(start, per_work, max(least_spread, spread))


class Estimates:
    """Estimates of a plan's jobs.

    What counts is what was measured in the experiment's own results, else in other experiments' beside them, else in
    the own summary, else in other summaries.
    """

    def __init__(self, plan: Plan, results: Path) -> None:
        self.skipped: list[str] = []  # what could not be read, a line each
        self._plan, self._jobs = plan, PlannedJobs(plan)
        self._rates: dict[Key, Rate] = {}
        others = sorted(folder for folder in results.parent.glob("*/") if folder.name != results.name)
        self._learn(wall_times_here(results), LEAST_SPREAD)
        self._learn((time for folder in others for time in wall_times_here(folder)), FOREIGN_SPREAD)
        self._learn(self._summary(results, plan), LEAST_SPREAD)
        self._learn((time for folder in others for time in self._summary(folder, None)), FOREIGN_SPREAD)

    def _learn(self, times: Iterable[WallTime], least_spread: float) -> None:
        by_key: dict[Key, list[WallTime]] = {}
        for time in times:
            if time.key not in self._rates:
                by_key.setdefault(time.key, []).append(time)
        self._rates |= {key: Rate.of(measured, least_spread) for key, measured in by_key.items()}

    def _summary(self, folder: Path, plan: Plan | None) -> Iterable[WallTime]:
        path = folder / "summary" / "wall_times.csv"
        return read_wall_times(path, plan, self.skipped) if path.is_file() else []

    def of(self, artefact: str) -> Estimate:
        """The estimate of a planned job."""
        recipe, shape = self._plan.jobs[artefact].recipe, self._plan.jobs[artefact].execution.job
        work = work_of(artefact, self._jobs)
        rate = self._rates.get(key_of(recipe.stage, recipe.kind, shape))
        if rate is None:
            return Estimate(_computed(work, shape, recipe.stage), UNMEASURED_SPREAD, False)
        return Estimate(rate.start + rate.per_work * share_of_processor(work, shape), rate.spread, True)

    def sources_without_data(self) -> list[str]:
        """Names of sources whose files are not there yet: what depends on their number can't be estimated."""
        jobs = self._plan.of_stage("sources")
        return [self._plan.jobs[name].recipe.name for name in jobs if not work_of(name, self._jobs).amount]


def _computed(work: Work, shape: JobShape, stage: str) -> float:
    """Seconds from work alone."""
    share = share_of_processor(work, shape)
    if work.unit != "operations":
        return START_SECONDS + share / (ANSWERS_PER_SECOND if stage == "translate" else THINGS_PER_SECOND)
    if not shape.gpus:
        return START_SECONDS + share / CORE_OPERATIONS
    return START_SECONDS + share / (GPU_OPERATIONS * (GENERATED_SHARE if stage == "generate" else 1))
