"""Wall times that were measured: those of this machine's results, and those that summaries in git bring from another.

A measurement is of a kind of job on a kind of device, with the work that a processor of it had to do.
"""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from unix_lib.config.jobs import JobShape
from unix_lib.recipes.known_jobs import FinishedJobs, PlannedJobs
from unix_lib.recipes.plan import Plan
from unix_lib.recipes.work import Work, work_of

COLUMNS = ("stage", "name", "wall_seconds", "kind", "device", "work")
LONGEST_LINE = 10_000  # characters; what is longer is no wall time, and too much for a reader of CSV
Key = tuple[str, str, str]  # stage, kind and device


@dataclass(frozen=True)
class WallTime:
    """One measurement."""

    key: Key
    name: str
    work: float  # of one processor
    seconds: float


def key_of(stage: str, kind: str, shape: JobShape) -> Key:
    """What jobs have in common whose times compare."""
    return stage, kind, "gpu" if shape.gpus else "cpu"


def share_of_processor(work: Work, shape: JobShape) -> float:
    """The work of one GPU, or of one CPU thread; what is not counted in operations is done by one."""
    if work.unit != "operations":
        return work.amount
    return work.amount / (shape.world_size * (1 if shape.gpus else shape.threads))


def wall_times_here(results: Path) -> Iterator[WallTime]:
    """Measurements of `results/<experiment>`, from its manifests."""
    finished = FinishedJobs(results)
    made_together = {name for job in finished.jobs.values() for name in job.recipe.in_role("answers")}
    for artefact, job in finished.jobs.items():
        seconds = seconds_of(job.manifest.provenance.get("wall_seconds"))
        if seconds is None or artefact in made_together:  # the group's own time holds its members'
            continue
        try:
            shape = JobShape.model_validate(job.manifest.provenance["execution"]["job"])
            work = share_of_processor(work_of(artefact, finished), shape)
        except (KeyError, TypeError, ValidationError):
            continue  # made by hand, or on what is pruned since: nothing to learn from
        recipe = job.recipe
        yield WallTime(key_of(recipe.stage, recipe.kind, shape), recipe.name, work, seconds)


def read_wall_times(path: Path, plan: Plan | None, skipped: list[str]) -> Iterator[WallTime]:
    """Measurements of a summary; those of an earlier version, without their work, by the plan's jobs of that name.

    Args:
        path: `summary/wall_times.csv`. Kept in git: it may hold the marks of a merge conflict.
        plan: of the experiment; None where it is another one.
        skipped: gets a line on what could not be read.
    """
    jobs = {} if plan is None else plan.jobs
    planned = {(job.recipe.stage, job.recipe.name): artefact for artefact, job in jobs.items()}
    unreadable: list[int] = []
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        rows = csv.DictReader((line[:LONGEST_LINE] for line in file), quoting=csv.QUOTE_NONE)
        for row in rows:
            stage, name, seconds = row.get("stage"), row.get("name"), seconds_of(row.get("wall_seconds"))
            kind, device, work = row.get("kind"), row.get("device"), seconds_of(row.get("work"))
            if stage is None or name is None or seconds is None:
                unreadable.append(rows.line_num)
            elif kind and device and work is not None:
                yield WallTime((stage, kind, device), name, work, seconds)
            elif plan is not None and (stage, name) in planned:
                key, work = _planned(planned[stage, name], plan)
                yield WallTime(key, name, work, seconds)
    if unreadable:
        skipped.append(
            f"{path}: {len(unreadable)} lines are no wall times, the first is line {unreadable[0]}; "
            "`unix-lib summarize <config>` writes the file anew"
        )


def wall_times_text(plan: Plan, seconds: dict[str, float]) -> str:
    """The CSV of a summary, from seconds by artefact in the order of the file."""
    lines = [",".join(COLUMNS)]
    for artefact, value in seconds.items():
        recipe = plan.jobs[artefact].recipe
        (stage, kind, device), work = _planned(artefact, plan)
        lines.append(f"{stage},{recipe.name},{value},{kind},{device},{work:.6g}")
    return "\n".join(lines) + "\n"


def _planned(artefact: str, plan: Plan) -> tuple[Key, float]:
    job = plan.jobs[artefact]
    key = key_of(job.recipe.stage, job.recipe.kind, job.execution.job)
    return key, share_of_processor(work_of(artefact, PlannedJobs(plan)), job.execution.job)


def seconds_of(value: Any) -> float | None:
    """A number that is not negative, as written down; None where it is none."""
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
