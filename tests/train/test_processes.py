"""How the processes of a training job end."""

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.train.experiment import ROOT, Experiment, command, environment
from unix_lib.artefacts.manifest import read_manifest
from unix_lib.jobs.job import lock_path
from unix_lib.jobs.lock import Lock
from unix_lib.train.state import work_folder

ABORTS_AT_ITS_END = "import atexit, os\nif 'RANK' in os.environ:\n    atexit.register(os.abort)\n"


def test_what_happens_while_python_ends_fails_no_finished_checkpoint(tmp_path: Path) -> None:
    """As gloo's threads do now and then; here every launched process would abort."""
    startup = tmp_path / "startup"
    startup.mkdir()
    (startup / "sitecustomize.py").write_text(ABORTS_AT_ITS_END, encoding="utf-8")
    dangerous = environment() | {"PYTHONPATH": f"{startup}{os.pathsep}{ROOT}"}
    alone = subprocess.run([sys.executable, "-c", ""], check=False, env=dangerous | {"RANK": "0"})
    assert alone.returncode < 0, "nothing aborts"
    experiment = Experiment(tmp_path / "results")
    job = experiment.job(2, execution={"job": {"nodes": 2}})
    subprocess.run(command(job), check=True, env=dangerous)
    assert read_manifest(job.folder).facts["step"] == 2


def test_processes_end_with_a_launcher_that_is_killed(tmp_path: Path) -> None:
    """It puts them into sessions of their own, so no signal to its group reaches them."""
    experiment = Experiment(tmp_path / "results")
    execution = {"job": {"nodes": 2}, "save_seconds": 0}
    job = experiment.job(10**6, execution=execution, optimization={"total_steps": 10**6})
    launcher = subprocess.Popen(command(job), env=environment())
    work = work_folder(job.results, job.settings.run, job.settings.run_digest)
    while not list(work.glob("step-*/hashes.json")):
        assert launcher.poll() is None
        time.sleep(0.1)
    processes = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    assert len(processes) == 2
    launcher.kill()
    launcher.wait()
    while any(Path(f"/proc/{process}").exists() for process in processes):
        time.sleep(0.1)
    with Lock(lock_path(work)):
        pass


def test_a_launcher_waits_for_another_and_does_not_do_its_work_again(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path / "results")
    job = experiment.job(2, execution={"job": {"nodes": 2}})
    first = subprocess.Popen(command(job), env=environment())
    lock = lock_path(job.work)
    while not (lock.exists() and lock.read_text()):
        assert first.poll() is None
        time.sleep(0.01)
    second = subprocess.run(command(job), check=True, env=environment(), capture_output=True, text=True)
    assert first.wait() == 0
    assert read_manifest(job.folder).facts["step"] == 2
    assert "is at work on this" in second.stderr
    assert "trains" not in second.stderr
