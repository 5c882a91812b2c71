"""One writer per artefact and run: who holds a lock, and when it is taken over."""

import errno
import fcntl
import json
import logging
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from unix_lib.jobs import lock as locks
from unix_lib.jobs.lock import STALE_SECONDS, Lock, LockError

HOLD = "import sys, time; from pathlib import Path; from unix_lib.jobs.lock import Lock\nwith Lock(Path(sys.argv[1])):"


@contextmanager
def holding(path: Path, then: str = "time.sleep(600)") -> Iterator["subprocess.Popen[bytes]"]:
    """Another process that holds a lock."""
    process = subprocess.Popen([sys.executable, "-c", f"{HOLD} {then}", str(path)])
    try:
        while not (path.exists() and path.read_text()):
            assert process.poll() is None
            time.sleep(0.01)
        yield process
    finally:
        process.kill()
        process.wait()


def left_behind(path: Path, **changes: Any) -> Path:
    holder = {"token": "other", "host": platform.node(), "pid": 1, "slurm_job": None} | changes
    path.write_text(json.dumps(holder), encoding="utf-8")
    return path


def waits(path: Path) -> threading.Thread | None:
    """A thread that waits for a lock; None where it got it."""
    got = threading.Event()

    def take() -> None:
        with Lock(path):
            got.set()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    return None if got.wait(0.3) else thread


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "POLL_SECONDS", 0.02)


def test_a_second_writer_waits_and_says_for_whom(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "lock"
    with caplog.at_level(logging.WARNING), holding(path) as other:
        waiting = waits(path)
        assert waiting is not None
        assert f"process {other.pid} on {platform.node()} is at work on this" in caplog.text
    waiting.join()
    assert list(tmp_path.iterdir()) == []


def test_a_killed_holder_that_nobody_reaped_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with holding(path) as other:
        other.kill()
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)  # a zombie from here on
        assert Path(f"/proc/{other.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        with Lock(path) as lock:
            assert json.loads(path.read_text())["token"] == lock.holder.token


def test_a_holder_in_another_container_of_the_same_host_name_is_alive(tmp_path: Path) -> None:
    """Its process is not to be seen from here: the kernel's lock on the file says that it lives."""
    path = tmp_path / "lock"
    with holding(path):
        left_behind(path, pid=2**22 + 1)  # no process of this number can exist
        waiting = waits(path)
        assert waiting is not None
    waiting.join()


def test_a_holder_that_gave_up_is_followed_by_one_process_alone(tmp_path: Path) -> None:
    count = tmp_path / "count"
    count.write_text("0")
    add = "p = Path(sys.argv[2]); n = int(p.read_text()); time.sleep(0.01); p.write_text(str(n + 1))"
    command = [sys.executable, "-c", f"{HOLD} {add}", str(tmp_path / "lock"), str(count)]
    processes = [subprocess.Popen(command) for _ in range(8)]
    assert [process.wait() for process in processes] == [0] * 8
    assert count.read_text() == "8"


def test_a_holder_on_another_host_counts_until_it_falls_silent(tmp_path: Path) -> None:
    path = left_behind(tmp_path / "lock", host="node17", slurm_job="4711")
    waiting = waits(path)
    assert waiting is not None
    long_ago = path.stat().st_mtime - 2 * STALE_SECONDS
    os.utime(path, (long_ago, long_ago))
    waiting.join()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"token": 1}'])
def test_a_lock_that_names_nobody_is_free(tmp_path: Path, content: str) -> None:
    (tmp_path / "lock").write_text(content)
    assert waits(tmp_path / "lock") is None


def test_a_file_system_without_locks_goes_by_the_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert waits(left_behind(tmp_path / "other")) is None
    path = left_behind(tmp_path / "lock", host="node17")
    waiting = waits(path)
    assert waiting is not None
    os.utime(path, (1, 1))
    waiting.join()


def test_a_replaced_holder_stops_and_leaves_the_new_lock_alone(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with Lock(path) as lock:
        lock.check()
        left_behind(path)
        with pytest.raises(LockError, match="another process took this over"):
            lock.check()
    assert path.exists()


def test_a_holder_shows_that_it_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "RENEW_SECONDS", 0.01)
    path = tmp_path / "lock"
    with Lock(path):
        os.utime(path, (1, 1))
        while path.stat().st_mtime == 1:
            time.sleep(0.01)
