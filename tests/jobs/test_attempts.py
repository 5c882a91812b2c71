"""Attempts of a job: two that ended alike with nothing saved are enough."""

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.making import make_job
from unix_lib.config.tokenize import TokenizeSettings
from unix_lib.jobs import attempts
from unix_lib.jobs.attempts import DRIVER, Attempts, NoProgress, attempts_path, read_attempts
from unix_lib.jobs.job import Job


@pytest.fixture
def job(tmp_path: Path) -> Job[Any, Any]:
    """A job of a driver."""
    made = make_job(tmp_path, "tokenize", "prose", "tokens", TokenizeSettings(template="ours"))
    (tmp_path / DRIVER).write_text("process 7 on here")
    return made


def fail(job: Job[Any, Any], *errors: str | None) -> None:
    for error in errors:
        attempt = Attempts(job)
        if error is not None:
            attempt.failed(error)


def test_a_third_attempt_that_would_end_alike_is_refused_with_the_reason(job: Job[Any, Any]) -> None:
    fail(job, "TrainError: the loss of step 12 is nan", "TrainError: the loss of step 14 is nan")
    with pytest.raises(
        NoProgress, match=r"2 attempts ended alike and saved nothing more: .* step 14 is nan .*prose.*log"
    ):
        Attempts(job)
    assert len(read_attempts(attempts_path(job.results, job.recipe.artefact))) == 2


def test_so_is_one_of_a_job_that_was_killed_twice(job: Job[Any, Any]) -> None:
    fail(job, None, None)
    with pytest.raises(NoProgress, match="killed outright, or out of memory"):
        Attempts(job)


def test_another_error_or_something_saved_is_progress(job: Job[Any, Any]) -> None:
    fail(job, "one", "another", "one", "another")
    fail(job, "another")
    part = job.work / "train-000000" / "records.parquet"
    part.parent.mkdir(parents=True)
    part.write_text("x")
    fail(job, "another")
    (job.work / ".train-000001").mkdir()  # half written
    (job.work / ".train-000001" / "records.parquet").write_text("x")
    fail(job, "another")
    with pytest.raises(NoProgress):
        Attempts(job)


def test_nobody_tries_again_for_a_driver_that_has_ended(job: Job[Any, Any]) -> None:
    """Its name stays in the file; a job that is started by hand then may be started as often as one likes."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    (job.results / DRIVER).write_text(f"process {ended.pid} on {platform.node()}, since 2026-01-02 03:04:05")
    fail(job, None, None, None)
    (job.results / DRIVER).write_text(f"process {os.getpid()} on {platform.node()}, since 2026-01-02 03:04:05")
    fail(job, None, None)
    with pytest.raises(NoProgress):
        Attempts(job)


@pytest.mark.parametrize("change", ["driver", "code", "execution", "by hand", "made"])
def test_what_changed_is_tried_anew(job: Job[Any, Any], change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(job, "same", "same")
    if change == "driver":
        (job.results / DRIVER).write_text("process 8 on here")
    elif change == "code":
        monkeypatch.setattr(attempts, "code_at_start", lambda: {"library": "another"})
    elif change == "execution":
        shape = job.execution.job.model_copy(update={"memory_mb": 9000})
        job.execution = job.execution.model_copy(update={"job": shape})
    elif change == "by hand":
        (job.results / DRIVER).unlink()
    else:
        job.finish({})
    fail(job, "same")


def test_an_attempt_that_slurm_took_back_failed_in_nothing(job: Job[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    for restart in range(4):
        monkeypatch.setenv("SLURM_RESTART_COUNT", str(restart))
        fail(job, None)
    (kept,) = read_attempts(attempts_path(job.results, job.recipe.artefact))
    assert (kept.slurm_job, kept.requeued) == ("42", 3)


def test_success_leaves_no_record_and_a_damaged_one_is_none(job: Job[Any, Any]) -> None:
    fail(job, "same")
    path = attempts_path(job.results, job.recipe.artefact)
    assert path.is_file()
    Attempts(job).made()
    assert not path.exists()
    path.write_text("[{")
    fail(job, "same")
    assert path.stat().st_size > 2
