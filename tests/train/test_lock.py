"""One writer per run."""

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from unix_lib.train.errors import TrainError
from unix_lib.train.lock import RENEW_SECONDS, STALE_SECONDS, RunLock


def _left_behind(folder: Path, **changes: Any) -> Path:
    holder = {"token": "other", "host": platform.node(), "pid": 1, "process_start": "", "slurm_job": None} | changes
    path = folder / "lock.json"
    path.write_text(json.dumps(holder), encoding="utf-8")
    return path


def _ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_second_writer_is_refused_by_name_and_may_come_later(tmp_path: Path) -> None:
    with RunLock(tmp_path):
        with pytest.raises(TrainError, match=f"process {os.getpid()} on {platform.node()}"), RunLock(tmp_path):
            pass
        assert (tmp_path / "lock.json").exists()
    assert list(tmp_path.iterdir()) == []
    with RunLock(tmp_path):
        pass


def test_the_lock_of_an_ended_process_is_taken_over(tmp_path: Path) -> None:
    path = _left_behind(tmp_path, pid=_ended_process())
    with RunLock(tmp_path) as lock:
        assert json.loads(path.read_text())["token"] == lock.holder.token
    assert list(tmp_path.iterdir()) == []


def test_a_pid_that_was_given_to_another_process_is_not_the_holder(tmp_path: Path) -> None:
    _left_behind(tmp_path, pid=os.getpid(), process_start="1")
    with RunLock(tmp_path):
        pass


def test_a_holder_on_another_host_counts_until_it_falls_silent(tmp_path: Path) -> None:
    path = _left_behind(tmp_path, host="node17", pid=_ended_process(), slurm_job="4711")
    with pytest.raises(TrainError, match="on node17, SLURM job 4711"), RunLock(tmp_path):
        pass
    long_ago = path.stat().st_mtime - 2 * STALE_SECONDS
    os.utime(path, (long_ago, long_ago))
    with RunLock(tmp_path):
        pass


def test_a_slurm_job_waits_until_a_holder_on_another_host_falls_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "4712")
    path = _left_behind(tmp_path, host="node17", slurm_job="4711")
    almost = path.stat().st_mtime - STALE_SECONDS + 0.5
    os.utime(path, (almost, almost))
    with RunLock(tmp_path) as lock:
        assert json.loads(path.read_text())["token"] == lock.holder.token
    assert list(tmp_path.iterdir()) == []


def test_a_slurm_job_gives_way_to_a_holder_on_another_host_that_renews_its_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "4712")
    path = _left_behind(tmp_path, host="node17", slurm_job="4711")
    earlier = path.stat().st_mtime - 60
    os.utime(path, (earlier, earlier))
    monkeypatch.setattr("unix_lib.train.lock.time.sleep", lambda _: os.utime(path))  # the holder saves meanwhile
    with pytest.raises(TrainError, match="on node17, SLURM job 4711"), RunLock(tmp_path):
        pass
    assert json.loads(path.read_text())["token"] == "other"


def test_an_unreadable_lock_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "lock.json").write_text("{", encoding="utf-8")
    with RunLock(tmp_path):
        pass


def test_a_replaced_holder_stops_and_leaves_the_new_lock_alone(tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    with lock:
        lock.refresh()
        path = _left_behind(tmp_path)
        with pytest.raises(TrainError, match="took this run over"):
            lock.refresh()
    assert path.exists()


def test_a_lock_is_renewed_between_saves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RunLock(tmp_path) as lock:
        os.utime(lock.path, (1, 1))
        lock.refresh_if_due()
        assert lock.path.stat().st_mtime == 1  # just taken
        later = time.monotonic() + RENEW_SECONDS
        monkeypatch.setattr("unix_lib.train.lock.time.monotonic", lambda: later)
        lock.refresh_if_due()
        assert lock.path.stat().st_mtime > 1
