"""An experiment at one moment: done, running, failed and left, with and without SLURM."""

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.recipes.finished import ROOT, finish, small_plan
from unix_lib.artefacts.manifest import MANIFEST
from unix_lib.commands.status_view import whole_view
from unix_lib.jobs.attempts import Attempts
from unix_lib.jobs.job import Job, lock_path
from unix_lib.jobs.lock import Lock
from unix_lib.jobs.standing import Record, standing_path
from unix_lib.recipes.plan import Plan
from unix_lib.watch import slurm, snapshot
from unix_lib.watch.at_work import at_work
from unix_lib.watch.snapshot import FailedJob, RunningJob, RunState, Snapshot, StageState, Watcher


@pytest.fixture(scope="module")
def plan() -> Plan:
    def on_gpus(values: Any) -> None:
        values["train"] |= {"job": {"gpus": 2}}

    return small_plan(on_gpus)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, plan: Plan) -> Path:
    """Results in which the base run is trained, with its losses; a test leaves them as they are."""
    folder = tmp_path_factory.mktemp("results") / "tiny"
    base = plan.named("train", "base-step-00030")
    finish(plan, base, folder, seconds=3600)
    rows = {"step": [30], "loss": [2.0], "loss_text": [2.5], "loss_image": [None]}
    for name in ("log", "heldout"):
        pq.write_table(pa.table(rows), folder / base / f"{name}.parquet")
    return folder


@pytest.fixture
def training(plan: Plan, results: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A checkpoint that is being made, as a SLURM job, halfway."""
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    artefact = plan.named("train", "unix-step-00010")
    work = results / "work" / artefact
    with Lock(lock_path(work)):
        Record(standing_path(work)).note(5, 10, "steps", 50.0, {"loss_text": 1.5})
        yield artefact
    standing_path(work).unlink()


def test_what_runs_is_shown_with_its_progress(plan: Plan, results: Path, training: str) -> None:
    seen = Watcher(plan, results, cores=2).snapshot()
    (running,) = seen.running
    assert (running.artefact, running.slurm_job, running.done, running.total) == (training, "42", 5, 10)
    assert running.log == f"{results}/logs/{training}.log"
    runs = {run.run: run for run in seen.runs}
    assert (runs["unix"].state, runs["unix"].step, runs["unix"].loss_text) == ("running", 5, 1.5)
    assert (runs["base"].state, runs["base"].loss_text, runs["base"].heldout_loss) == ("done", 2.5, 2.0)
    assert runs["base"].seconds_left is None and runs["shared"].state == "waiting"
    assert (seen.gpu_hours_used, runs["base"].gpu_hours) == (pytest.approx(2.0, abs=0.1), pytest.approx(2.0, abs=0.1))
    assert seen.gpu_hours_left > 0
    assert seen.seconds_left is not None and seen.seconds_left > 50
    assert {stage.stage: stage.running for stage in seen.stages}["train"] == 1
    assert seen.jobs == len(plan.targets(*{stage.stage for stage in seen.stages})) > seen.done > 0


def test_plan_says_of_a_running_job_who_is_at_work_since_when_and_at_which_step(results: Path, training: str) -> None:
    told = at_work(training, results)
    assert told is not None and told.startswith("running: process ") and ", SLURM job 42 since 20" in told
    assert told.endswith(", 5 of 10 steps")
    assert at_work("train/unix-step-00030-000000000000", results) is None


def test_what_failed_is_shown_with_its_last_error_and_log(
    plan: Plan, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artefact = plan.named("train", "unix-step-00000")
    job: Job[Any, Any] = Job.of(plan.jobs[artefact].recipe, results, plan.jobs[artefact].execution)
    Attempts(job).failed("TrainError: no")
    attempt = Attempts(job)
    assert Watcher(plan, results, 2).snapshot().failed == []  # it begins at this moment
    attempt.failed("TrainError: still no")
    watcher = Watcher(plan, results, 2)
    (failed,) = watcher.snapshot().failed
    assert (failed.artefact, failed.attempts, failed.error) == (artefact, 2, "TrainError: still no")
    assert {run.run: run.state for run in watcher.snapshot().runs}["unix"] == "failed"
    with Lock(lock_path(job.work)):
        assert watcher.snapshot().failed == []
    Attempts(job)
    monkeypatch.setattr(snapshot, "SECONDS_TO_START", 0.0)
    assert "killed outright" in watcher.snapshot().failed[0].error
    Attempts(job).made()


def test_slurm_is_asked_once_for_all_jobs_and_sacct_for_forgotten_ones(
    plan: Plan, results: Path, training: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = tmp_path / "asked"
    for name, answer in (("squeue", "42|RUNNING"), ("sacct", "41|CANCELLED by 0")):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\necho {name} >> {asked}\necho '{answer}'\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    (running,) = Watcher(plan, results, 2).snapshot().running
    assert running.slurm_state == "RUNNING"
    assert asked.read_text().split() == ["squeue"]
    assert slurm.slurm_states(["41", "42"]) == {"41": "CANCELLED", "42": "RUNNING"}
    assert asked.read_text().split() == ["squeue", "squeue", "sacct"]


def test_without_slurm_nothing_is_known_of_its_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert slurm.slurm_states(["42"]) == {}


def test_looking_on_changes_nothing(plan: Plan, results: Path, training: str) -> None:
    def files() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in results.rglob("*")}

    before = files()
    Watcher(plan, results, 2).snapshot()
    assert files() == before


def test_the_json_is_what_the_docs_say() -> None:
    text = (ROOT / "docs" / "watching.md").read_text(encoding="utf-8")
    rows = {"stages": StageState, "runs": RunState, "running": RunningJob, "failed": FailedJob}
    named = [field.name for field in fields(Snapshot)]
    named += [f"{part}[].{field.name}" for part, kind in rows.items() for field in fields(kind)]
    assert re.findall(r"^\| `([\w\[\].]+)` \|", text.partition("## The JSON")[2], re.MULTILINE) == named


def test_everything_done_leaves_nothing(plan: Plan, tmp_path: Path) -> None:
    results = tmp_path / "tiny"
    for artefact in plan.jobs:
        (results / artefact).mkdir(parents=True)
        (results / artefact / MANIFEST).touch()  # even unreadable ones: they are not this command's to judge
    seen = Watcher(plan, results, 2).snapshot()
    assert (seen.done, seen.seconds_left, seen.gpu_hours_left) == (seen.jobs, None, 0)
    assert whole_view(seen) is not None
