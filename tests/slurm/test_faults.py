"""Training disturbed on a real SLURM ends as if nothing had happened: the checkpoint is the same to the bit.

docs/cluster.md has a table of these faults.
"""

import json
import os
import signal
import subprocess

import pytest

from tests.slurm.cluster import CONTROLLER, Cluster
from tests.slurm.training import PROFILE, Training, job_with_a_save, slurm_job, until
from unix_lib.artefacts.verify import verify
from unix_lib.jobs.job import lock_path
from unix_lib.jobs.lock import Lock

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.usefixtures("cluster")]


def unharmed(training: Training, running: subprocess.Popen[str], undisturbed: str) -> str | None:
    """Wait for the driver, see that the training is as it should be; returns the SLURM job that finished it."""
    assert running.wait() == 0, training.log()
    manifest = training.checkpoint()[1]
    assert manifest.digest == undisturbed
    assert "training continues at step " in training.said()
    assert verify(training.results).faults == []
    assert not list(training.results.glob("work/train/*/step-*"))
    job: str | None = manifest.provenance["slurm_job"]
    return job


@pytest.mark.parametrize("signal_name", ["TERM", "KILL"])
def test_a_job_that_is_ended_or_killed_outright_is_submitted_again(
    training: Training, undisturbed: str, signal_name: str
) -> None:
    running = training.submit()
    try:
        first = job_with_a_save(training, running)
        kill = ["--signal=KILL", "--full"] if signal_name == "KILL" else []
        subprocess.run(["scancel", *kill, first], check=True)
        assert unharmed(training, running, undisturbed) not in (None, first)
    finally:
        running.kill()


def test_a_job_that_hangs_until_its_time_limit_is_submitted_again(training: Training, undisturbed: str) -> None:
    running = training.submit()
    stopped: list[int] = []
    try:
        first = job_with_a_save(training, running)
        holder = json.loads(next(training.results.glob("work/train/base-*.lock")).read_text())
        stopped.append(holder["pid"])
        os.kill(holder["pid"], signal.SIGSTOP)
        subprocess.run(["scontrol", "update", f"JobId={first}", "TimeLimit=1"], check=True)
        assert unharmed(training, running, undisturbed) not in (None, first)
        assert slurm_job(f"JobId={first} ")["JobState"] == "TIMEOUT"
    finally:
        running.kill()


def test_a_job_that_slurm_kills_for_its_memory_twice_is_not_tried_a_third_time(
    training: Training, undisturbed: str
) -> None:
    training.write(job={"memory_mb": 500})
    assert training.submit().wait() == 1
    logs = [path.read_text() for path in training.results.glob("logs/slurm/**/*.log")]
    assert [("exceeded memory limit" in log) for log in logs].count(True) == 2, training.log()
    assert training.said().count("not tried again, for 2 attempts ended alike") == 1
    assert "out of memory" in training.said()
    training.write()
    training.snakemake(*PROFILE)
    assert training.checkpoint()[1].digest == undisturbed


@pytest.mark.parametrize("partition", ["spare", "lost"])
def test_a_job_that_another_partition_preempts_continues_requeued_or_submitted_again(
    training: Training, undisturbed: str, partition: str
) -> None:
    (training.project.folder / "site.yaml").write_text(f"partition: {partition}")
    running = training.submit()
    try:
        first = job_with_a_save(training, running)
        urgent = ["sbatch", "--partition=test", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=sleep 3"]
        subprocess.run(urgent, check=True, capture_output=True)
        last = unharmed(training, running, undisturbed)
        preempted = slurm_job(f"JobId={first} ")
        if partition == "spare":
            assert (last, preempted["Restarts"]) == (first, "1")
        else:
            assert last != first
            assert preempted["JobState"] == "PREEMPTED"
    finally:
        running.kill()


def test_while_the_controller_is_away_jobs_go_on_and_are_asked_for_again(
    training: Training, undisturbed: str, cluster: Cluster
) -> None:
    running = training.submit()
    try:
        first = job_with_a_save(training, running)
        cluster.stop_controller()
        until(lambda: "SLURM does not answer" in training.log(), running)
        cluster.start(CONTROLLER)
        assert running.wait() == 0, training.log()
        manifest = training.checkpoint()[1]
        assert (manifest.digest, manifest.provenance["slurm_job"]) == (undisturbed, first)
    finally:
        running.kill()


def test_a_job_whose_node_dies_is_requeued_on_the_other(training: Training, undisturbed: str, cluster: Cluster) -> None:
    running = training.submit()
    first = job_with_a_save(training, running)
    node = slurm_job(f"JobId={first} ")["BatchHost"]
    try:
        cluster.kill(node)
        assert unharmed(training, running, undisturbed) == first
        again = slurm_job(f"JobId={first} ")
        assert (again["Restarts"], again["BatchHost"] != node) == ("1", True)
    finally:
        running.kill()
        cluster.start(node)


def test_a_job_that_meets_a_live_writer_waits_for_it(training: Training, undisturbed: str) -> None:
    planned = next(training.results.glob("recipes/train/base-*[0-9a-f].json"))
    settings = json.loads(planned.read_text())["settings"]
    work = training.results / "work" / "train" / f"base-{settings['run_digest'][:12]}"
    with Lock(lock_path(work)) as lock:
        running = training.submit()
        until(lambda: f"process {lock.holder.pid} on" in training.said(), running)
        assert not work.exists()
        lock.check()  # still ours
    assert running.wait() == 0
    assert training.checkpoint()[1].digest == undisturbed


def test_a_driver_after_one_that_was_killed_takes_over_its_job_and_a_second_one_is_refused(
    training: Training, undisturbed: str
) -> None:
    first = training.submit()
    job = job_with_a_save(training, first)
    trainer = json.loads(next(training.results.glob("work/train/base-*.lock")).read_text())["pid"]
    os.kill(trainer, signal.SIGSTOP)  # so that it is still at work when the next driver begins
    assert "another Snakemake" in training.snakemake(*PROFILE, check=False).stderr
    first.kill()
    first.wait()
    after = training.submit()
    try:
        until(lambda: f"SLURM job {job} is taken over" in training.log(), after)
        os.kill(trainer, signal.SIGCONT)
        assert after.wait() == 0, training.log()
    finally:
        after.kill()
    assert "has been submitted" not in training.log()
    assert training.checkpoint()[1].digest == undisturbed
    assert training.checkpoint()[1].provenance["slurm_job"] == job
    assert "continues at step" not in training.said()
