"""An experiment at one moment: what is done, what runs and how far it is, what failed, what is left.

Everything is read: manifests, locks, the records that running jobs keep, the attempts beside their logs, and SLURM's
word where a job has one. So it works beside a driver, from another login node, and where nothing runs at all.
`Snapshot` is also the schema of `status --json` (docs/watching.md): fields are added, never renamed or taken away.
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import MANIFEST, Manifest, read_manifest
from unix_lib.config.jobs import JobShape
from unix_lib.config.train import CheckpointSettings
from unix_lib.jobs.attempts import attempts_path, driver_of, read_attempts
from unix_lib.jobs.holders import holder_of
from unix_lib.jobs.job import lock_path
from unix_lib.jobs.standing import Standing, now, read_standing, standing_path
from unix_lib.recipes.estimate import Estimates
from unix_lib.recipes.plan import STAGES, Plan
from unix_lib.recipes.schedule import TimedJob, wall_seconds
from unix_lib.watch.slurm import slurm_states

SCHEMA = 1
SECONDS_TO_START = 60.0  # ASSUME: of a process, from its first line to its lock


@dataclass(frozen=True)
class StageState:
    """Jobs of a stage."""

    stage: str
    jobs: int
    done: int
    running: int
    failed: int


@dataclass(frozen=True)
class RunningJob:
    """A job whose lock is held. Times are ISO 8601; what the job does not count is null."""

    artefact: str
    host: str
    pid: int
    slurm_job: str | None
    slurm_state: str | None
    began: str | None
    updated: str | None
    done: int | None
    total: int | None
    unit: str | None
    seconds_left: float | None
    values: dict[str, float]
    log: str


@dataclass(frozen=True)
class FailedJob:
    """A job whose last attempt ended without its artefact, and that doesn't run."""

    artefact: str
    began: str
    attempts: int
    error: str
    slurm_job: str | None
    slurm_state: str | None
    log: str


@dataclass(frozen=True)
class RunState:
    """A training run over all its segments; losses are the newest known, nats per target."""

    run: str
    step: int
    steps: int
    checkpoints_done: int
    checkpoints: int
    state: str  # "done", "running", "failed", "waiting"
    loss_text: float | None
    loss_image: float | None
    heldout_loss: float | None
    gpu_hours: float
    seconds_left: float | None


@dataclass(frozen=True)
class Snapshot:
    """All of it."""

    schema: int
    experiment: str
    results: str
    at: str
    driver: str | None  # the Snakemake at work, in words
    stages: list[StageState]
    runs: list[RunState]
    running: list[RunningJob]
    failed: list[FailedJob]
    jobs: int
    done: int
    seconds_left: float | None  # of the whole experiment; null when nothing is left
    measured: bool  # whether all that is left is estimated from jobs of its kind
    gpu_hours_used: float
    gpu_hours_left: float


class Watcher:
    """Takes snapshots of one experiment; what never changes is read once."""

    def __init__(self, plan: Plan, results: Path, cores: int) -> None:
        """`cores` are shared by the jobs that run here at the same time."""
        self._plan, self._results, self._cores = plan, results, cores
        self._targets = plan.targets(*STAGES)
        self._manifests: dict[str, Manifest] = {}
        self._curves: dict[str, dict[str, Any]] = {}  # last rows by checkpoint

    @cached_property
    def _estimates(self) -> Estimates:
        return Estimates(self._plan, self._results)

    def snapshot(self) -> Snapshot:
        """The experiment now."""
        is_done = {artefact: self._is_done(artefact) for artefact in self._targets}
        done, missing = ([one for one in is_done if is_done[one] == wanted] for wanted in (True, False))
        running = {one.artefact: one for artefact in missing if (one := self._running(artefact)) is not None}
        failed = {bad.artefact: bad for artefact in missing if (bad := self._failed(artefact, running)) is not None}
        ids = [*(job.slurm_job for job in running.values()), *(job.slurm_job for job in failed.values())]
        states = slurm_states(filter(None, ids))
        running = {a: replace(job, slurm_state=states.get(job.slurm_job or "")) for a, job in running.items()}
        failed = {a: replace(job, slurm_state=states.get(job.slurm_job or "")) for a, job in failed.items()}
        left = {artefact: self._seconds_left(artefact, running) for artefact in missing}
        timed = {artefact: self._timed(artefact, seconds) for artefact, seconds in left.items()}
        shapes = {artefact: self._shape(artefact) for artefact in missing}
        return Snapshot(
            schema=SCHEMA,
            experiment=self._plan.name,
            results=str(self._results),
            at=now(),
            driver=driver_of(self._results) or None,
            stages=[self._stage(stage, done, running, failed) for stage in STAGES if self._plan.targets(stage)],
            runs=[self._run(run, jobs, running, failed, left) for run, jobs in self._plan.parts("train").items()],
            running=list(running.values()),
            failed=list(failed.values()),
            jobs=len(self._targets),
            done=len(done),
            seconds_left=wall_seconds(timed, self._cores) if timed else None,
            measured=all(self._estimates.of(artefact).measured for artefact in missing if artefact not in running),
            gpu_hours_used=sum(map(self._gpu_hours, done)) + sum(map(self._gpu_hours_so_far, running.values())),
            gpu_hours_left=sum(left[a] / 3600 * shape.gpus * shape.nodes for a, shape in shapes.items()),
        )

    def _is_done(self, artefact: str) -> bool:
        """Whether all that a job makes is there."""
        return all((self._results / name / MANIFEST).is_file() for name in (artefact, *self._made_along[artefact]))

    @cached_property
    def _made_along(self) -> defaultdict[str, list[str]]:
        """What else each job makes."""
        found = defaultdict[str, list[str]](list)
        for name, job in self._plan.jobs.items():
            if job.made_by is not None:
                found[job.made_by].append(name)
        return found

    def _shape(self, artefact: str) -> JobShape:
        return self._plan.jobs[artefact].execution.job

    def _log(self, artefact: str) -> str:
        stage, _, key = artefact.partition("/")
        return str(self._results / "logs" / stage / f"{key}.log")

    def _running(self, artefact: str) -> RunningJob | None:
        work = self._results / "work" / artefact
        holder = holder_of(lock_path(work))
        if holder is None:
            return None
        seen = read_standing(standing_path(work)) or Standing("", "", holder.host, holder.pid)
        return RunningJob(
            artefact=artefact,
            host=holder.host,
            pid=holder.pid,
            slurm_job=holder.slurm_job,
            slurm_state=None,
            began=seen.began or None,
            updated=seen.updated or None,
            done=seen.done,
            total=seen.total,
            unit=seen.unit,
            seconds_left=seen.seconds_left,
            values=seen.values,
            log=self._log(artefact),
        )

    def _failed(self, artefact: str, running: dict[str, RunningJob]) -> FailedJob | None:
        attempts = read_attempts(attempts_path(self._results, artefact))
        if not attempts or artefact in running:
            return None
        last = attempts[-1]
        if last.error is None and _age(last.began) < SECONDS_TO_START:
            return None  # it has not taken its lock yet
        log = self._log(artefact)
        return FailedJob(artefact, last.began, len(attempts), last.ending, last.slurm_job, None, log)

    def _seconds_left(self, artefact: str, running: dict[str, RunningJob]) -> float:
        job = running.get(artefact)
        if job is not None and job.seconds_left is not None:
            return job.seconds_left
        expected = self._estimates.of(artefact).seconds
        return expected if job is None else max(0.1 * expected, expected - _age(job.began))

    def _timed(self, artefact: str, seconds: float) -> TimedJob:
        shape = self._shape(artefact)
        return TimedJob(seconds, 0 if shape.gpus else shape.threads, tuple(self._plan.waits_for(artefact)))

    def _gpu_hours(self, artefact: str) -> float:
        shape, manifest = self._shape(artefact), self._manifest(artefact)
        if not shape.gpus or manifest is None or "shared_from" in manifest.provenance:
            return 0.0
        return float(manifest.provenance.get("wall_seconds") or 0.0) / 3600 * shape.gpus * shape.nodes

    def _gpu_hours_so_far(self, job: RunningJob) -> float:
        shape = self._shape(job.artefact)
        return _age(job.began) / 3600 * shape.gpus * shape.nodes

    def _manifest(self, artefact: str) -> Manifest | None:
        if artefact not in self._manifests:
            try:
                self._manifests[artefact] = read_manifest(self._results / artefact)
            except UserError:
                return None
        return self._manifests[artefact]

    def _stage(
        self, stage: str, done: list[str], running: dict[str, RunningJob], failed: dict[str, FailedJob]
    ) -> StageState:
        jobs = set(self._plan.targets(stage))
        return StageState(stage, len(jobs), len(jobs & set(done)), len(jobs & set(running)), len(jobs & set(failed)))

    def _run(
        self,
        run: str,
        jobs: list[str],
        running: dict[str, RunningJob],
        failed: dict[str, FailedJob],
        left: dict[str, float],
    ) -> RunState:
        settings = [self._plan.jobs[artefact].settings for artefact in jobs]
        steps = [each.step for each in settings if isinstance(each, CheckpointSettings)]
        done = [artefact for artefact in jobs if artefact not in left]
        now_running = next((running[artefact] for artefact in jobs if artefact in running), None)
        values = dict(self._curve(done[-1])) if done else {}
        step = max((at for artefact, at in zip(jobs, steps, strict=False) if artefact in done), default=0)
        if now_running is not None:
            values |= now_running.values
            step = max(step, now_running.done or 0)
        is_failed = any(artefact in failed for artefact in jobs)
        state = "running" if now_running else "done" if len(done) == len(jobs) else "failed" if is_failed else "waiting"
        return RunState(
            run=run,
            step=step,
            steps=max(steps, default=0),
            checkpoints_done=len(done),
            checkpoints=len(jobs),
            state=state,
            loss_text=values.get("loss_text"),
            loss_image=values.get("loss_image"),
            heldout_loss=values.get("heldout_loss"),
            gpu_hours=sum(map(self._gpu_hours, done)) + (self._gpu_hours_so_far(now_running) if now_running else 0.0),
            seconds_left=sum(left[artefact] for artefact in jobs if artefact in left) or None,
        )

    def _curve(self, checkpoint: str) -> dict[str, Any]:
        """The last losses of a finished checkpoint."""
        if checkpoint not in self._curves:
            values: dict[str, Any] = {}
            for file, names in (("log", ("loss_text", "loss_image")), ("heldout", ("loss",))):
                try:
                    rows = pq.read_table(self._results / checkpoint / f"{file}.parquet", columns=[*names]).to_pylist()
                except (OSError, ValueError):
                    continue
                last = rows[-1] if rows else {}
                prefix = "heldout_" if file == "heldout" else ""
                values |= {f"{prefix}{name}": value for name, value in last.items() if value is not None}
            self._curves[checkpoint] = values
        return self._curves[checkpoint]


def _age(began: str | None) -> float:
    """Seconds since a time in ISO 8601."""
    if not began:
        return 0.0
    return max(0.0, (datetime.now().astimezone() - datetime.fromisoformat(began)).total_seconds())
