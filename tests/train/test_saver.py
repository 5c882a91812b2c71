"""Saves between checkpoints: training goes on while they are written, and nothing that happens to one costs another."""

import errno
import logging
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.train.experiment import ROOT, Experiment, command, train
from tests.train.startup import starting_with
from unix_lib.artefacts.hashed import HashedFile
from unix_lib.artefacts.manifest import Manifest
from unix_lib.artefacts.saves import saves
from unix_lib.artefacts.sealed import seal_fault
from unix_lib.jobs.job import Job, lock_path
from unix_lib.train import state, state_writer
from unix_lib.train.errors import TrainError
from unix_lib.train.log import StepLog

LAST = 12
OFTEN = {"save_seconds": 0}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Experiment, Manifest, Manifest]:
    """A run with checkpoints at steps 8 and 12."""
    experiment = Experiment(tmp_path_factory.mktemp("undisturbed"))
    return experiment, train(experiment, 8), train(experiment, LAST)


def _work(job: Job[Any, Any]) -> Path:
    return state.work_folder(job.results, job.settings.run, job.settings.run_digest)


def _after(monkeypatch: pytest.MonkeyPatch, hook: Callable[[int], None]) -> None:
    """Call a hook with each step, when its row is noted."""
    original = StepLog.add

    def add(self: StepLog, step: int, *values: Any, **others: Any) -> None:
        original(self, step, *values, **others)
        hook(step)

    monkeypatch.setattr(StepLog, "add", add)


def test_training_goes_on_while_a_save_is_written(
    undisturbed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written before step 6 has ended, and what is written then is the state after step 1."""
    experiment, may_write = Experiment(tmp_path), threading.Event()
    original = state_writer.write_shards

    def write_late(*shards: Any) -> Any:
        assert may_write.wait(60), "training waits for the save"
        return original(*shards)

    monkeypatch.setattr(state_writer, "write_shards", write_late)
    _after(monkeypatch, lambda step: may_write.set() if step == 6 else None)
    job = experiment.job(LAST, execution=OFTEN)
    copy = tmp_path / "copy"
    monkeypatch.setattr("unix_lib.train.make.clear_saves", lambda work, step: shutil.copytree(work, copy))
    assert train(experiment, LAST, execution=OFTEN).digest == undisturbed[2].digest
    steps = [step for step, _ in saves(copy)]
    assert steps and min(steps) in (1, 7, 8)  # two are kept: the first one may have been pruned
    for step, folder in saves(copy):
        assert seal_fault(folder) is None and state.read_progress(folder).step == step
    # The run goes on from the oldest of them to the same checkpoint.
    monkeypatch.undo()
    other = Experiment(tmp_path / "other")
    _work(other.job(LAST)).parent.mkdir(parents=True)
    shutil.copytree(copy / f"step-{min(steps):05d}", _work(other.job(LAST)) / f"step-{min(steps):05d}")
    assert job.settings.run_digest == other.job(LAST).settings.run_digest
    assert train(other, LAST).digest == undisturbed[2].digest


KILLED_WRITING = """
import os, signal
from pathlib import Path
from unix_lib.artefacts.hashed import HashedFile

write = HashedFile.write

def killed(self, data):
    write(self, data)
    self.flush()
    if self._size > 1000 and "work" in Path(self._file.name).parts and "model_states" in self._file.name:
        os.kill(os.getpid(), signal.SIGKILL)
    return memoryview(data).nbytes

HashedFile.write = killed
"""


def test_killed_in_the_middle_of_a_save_the_run_goes_on_from_the_state_before(
    undisturbed: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, before, whole = undisturbed
    shutil.copytree(one.results, tmp_path / "results")
    experiment = Experiment.at(tmp_path / "results")
    shutil.rmtree(experiment.results / whole.artefact)
    job = experiment.job(LAST, execution=OFTEN)
    environment = starting_with(tmp_path / "startup", KILLED_WRITING)
    done = subprocess.run(command(job), check=False, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert lock_path(_work(job)).exists()
    (part,) = _work(job).glob(".step-*")
    assert any(path.stat().st_size for path in part.rglob("*model_states.pt"))  # it was in the middle
    assert saves(_work(job)) == []
    caplog.set_level(logging.INFO)
    assert train(experiment, LAST).digest == whole.digest
    assert f"continues at step 8 from {experiment.results / before.artefact / 'state'}" in caplog.text
    assert not _work(job).exists()


def test_a_save_that_does_not_fit_is_left_out_and_training_goes_on(
    undisturbed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    experiment, asked = Experiment(tmp_path), []

    def free_bytes(folder: Path) -> int:
        asked.append(folder)
        return 10**12 if len(asked) == 1 else 1234

    monkeypatch.setattr(state_writer, "free_bytes", free_bytes)
    kept: list[int] = []
    monkeypatch.setattr(
        "unix_lib.train.make.clear_saves", lambda work, step: kept.extend(step for step, _ in saves(work))
    )
    assert train(experiment, LAST, execution=OFTEN).digest == undisturbed[2].digest
    assert len(asked) > 1 and kept == [1]
    job = experiment.job(LAST)
    assert "is not saved, the saves before it stay and training goes on: SaveError" not in caplog.text
    assert (
        f"{_work(job)}: the state needs " in caplog.text
        and " bytes and the disk has 1,234 free; make room" in caplog.text
    )
    assert list(_work(job).glob(".*")) == []


def test_a_checkpoint_whose_state_does_not_fit_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = Experiment(tmp_path)
    monkeypatch.setattr(state_writer, "free_bytes", lambda folder: 1234)
    with pytest.raises(TrainError, match=r"step 2 can't be saved: \S*: the state needs [\d,]+ bytes.* 1,234 free"):
        train(experiment, 2)
    assert (
        not list(experiment.job(2).folder.glob("*state*")) and not (experiment.job(2).folder / "manifest.json").exists()
    )


def test_a_save_that_fails_midway_is_named_and_the_one_before_stays(
    undisturbed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The disk fills up while the second save is written: by what another process wrote, after it was asked."""
    experiment, write = Experiment(tmp_path), HashedFile.write

    def full(self: HashedFile, data: Any) -> int:
        if "work" in Path(self._file.name).parts and ".step-00001" not in str(self._file.name):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, data)

    monkeypatch.setattr(HashedFile, "write", full)
    kept: list[int] = []
    monkeypatch.setattr(
        "unix_lib.train.make.clear_saves", lambda work, step: kept.extend(step for step, _ in saves(work))
    )
    assert train(experiment, LAST, execution=OFTEN).digest == undisturbed[2].digest
    assert kept == [1]
    assert "is not saved, the saves before it stay and training goes on: " in caplog.text
    assert list(_work(experiment.job(LAST)).glob(".*")) == []
