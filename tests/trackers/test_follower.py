"""One curve a run, whatever becomes of its jobs and of the tracker."""

import logging
import subprocess
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from unix_lib.config.trackers import Tracking
from unix_lib.trackers import follower
from unix_lib.trackers.curve import Curve
from unix_lib.trackers.follower import Followers
from unix_lib.trackers.services import SERVICES, wandb_mode

DIGEST = "ab" * 32


class Remembering:
    """A tracker that remembers."""

    told: ClassVar[list[tuple[str, int, dict[str, float]]]] = []
    wait = threading.Event()

    def __init__(self, curve: Curve) -> None:
        self.id = curve.id

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.wait.wait()
        if step == 13:
            raise OSError("no network")
        self.told.append((self.id, step, dict(values)))

    def close(self) -> None:
        self.told.append((self.id, -1, {}))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, dict[str, float]]]:
    monkeypatch.setitem(SERVICES, "wandb", Remembering)
    monkeypatch.setattr(Remembering, "told", [])
    Remembering.wait.set()
    return Remembering.told


def curve(folder: Path, *trackers: str, every_steps: int = 1, digest: str = DIGEST) -> Curve:
    tracking = Tracking.model_validate({"trackers": list(trackers) or ["wandb"], "every_steps": every_steps})
    return Curve("unix", digest, "laptop", folder, tracking, {"seed": 1})


def tell(folder: Path, *steps: int, **options: int | str) -> None:
    followers = Followers(curve(folder, **options))  # type: ignore[arg-type]
    for step in steps:
        followers.tell(step, {"train/loss": float(step), "train/grad_norm": None})
    followers.close()


def test_segments_write_one_curve_and_repeated_steps_are_told_once(tmp_path: Path, told: list[object]) -> None:
    tell(tmp_path, 1, 2, 3, 4)
    tell(tmp_path, 3, 4, 5)  # from an earlier save
    assert [step for _, step, _ in told if step >= 0] == [1, 2, 3, 4, 5]  # type: ignore[misc]
    assert {name for name, _, _ in told} == {"unix-abababababab"}  # type: ignore[misc]
    assert told[0] == ("unix-abababababab", 1, {"train/loss": 1.0})
    tell(tmp_path, 1, digest="cd" * 32)  # another run of the name
    assert told[-2] == ("unix-cdcdcdcdcdcd", 1, {"train/loss": 1.0})


def test_a_tracker_that_fails_says_so_once_and_stops_nothing(
    tmp_path: Path, told: list[object], caplog: pytest.LogCaptureFixture
) -> None:
    tell(tmp_path, 11, 12, 13, 14, 15)
    assert [step for _, step, _ in told] == [11, 12]  # type: ignore[misc]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "wandb shows nothing more of this run: OSError: no network" in caplog.text
    tell(tmp_path, 12, 14)
    assert [step for _, step, _ in told] == [11, 12, 14, -1]  # type: ignore[misc]


def test_nobody_waits_for_a_tracker_that_hangs(
    tmp_path: Path, told: list[object], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(follower, "SECONDS_TO_START", 0.0)
    monkeypatch.setattr(follower, "SECONDS_TO_FINISH", 0.01)
    Remembering.wait.clear()
    tell(tmp_path, *range(100))
    assert told == [] and "it is left behind" in caplog.text
    Remembering.wait.set()
    for thread in threading.enumerate():
        if thread.name == "tracker wandb":
            thread.join()


def test_points_are_as_dense_as_asked_but_for_held_out_losses(tmp_path: Path, told: list[object]) -> None:
    followers = Followers(curve(tmp_path, every_steps=10))
    for step in range(31):
        followers.tell(step, {"heldout/loss": 1.0} if step == 15 else {"train/loss": 1.0})
    followers.close()
    assert [step for _, step, _ in told] == [0, 10, 15, 20, 30, -1]  # type: ignore[misc]


def test_wandb_is_online_only_with_a_key_and_an_address_that_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    class Refuses(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Refuses)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
    assert wandb_mode() == "offline"  # no key
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1:{server.server_port} password key")
    assert wandb_mode() == "online"
    server.shutdown()
    server.server_close()
    assert wandb_mode() == "offline"  # no network
    monkeypatch.setenv("WANDB_API_KEY", "key")
    assert wandb_mode() == "offline"
    monkeypatch.setenv("WANDB_MODE", "online")
    assert wandb_mode() == "online"


def test_a_missing_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unix_lib.config.trackers.find_spec", lambda name: None)
    fault = Tracking(trackers=["wandb", "trackio"]).fault()
    assert fault is not None and "wandb, trackio" in fault and "pip install --no-deps -r envs/watch.txt" in fault
    assert Tracking().fault() is None


REAL = """
import os, signal, sys, time
from pathlib import Path
from tests.trackers.test_follower import curve
from unix_lib.trackers.follower import Followers
name, first, last, end = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
followers = Followers(curve(Path("tracking"), name))
for step in range(first, last + 1):
    followers.tell(step, {"train/loss": 1 / (step + 1)})
if end == "killed":
    mark = next(Path("tracking").rglob("given"), None)
    while mark is None or int(mark.read_text() or 0) < last:
        time.sleep(0.1)
        mark = next(Path("tracking").rglob("given"), None)
    os.kill(os.getpid(), signal.SIGKILL)
followers.close()
"""


def _real(name: str, folder: Path, first: int, last: int, end: str = "closed") -> None:
    pytest.importorskip(name)
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", REAL, name, str(first), str(last), end],
        cwd=folder,
        env={"PYTHONPATH": f"{root}:{':'.join(sys.path)}", "HOME": str(folder), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == (-9 if end == "killed" else 0), done.stderr


def test_tensorboard_shows_one_curve_after_a_kill(tmp_path: Path) -> None:
    _real("tensorboard", tmp_path, 1, 20, "killed")
    _real("tensorboard", tmp_path, 11, 30)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tracking" / "tensorboard" / "unix-abababababab")).Reload()
    assert [event.step for event in events.Scalars("train/loss")] == list(range(1, 31))


def test_wandb_writes_offline_where_there_is_no_key(tmp_path: Path) -> None:
    _real("wandb", tmp_path, 1, 3)
    _real("wandb", tmp_path, 4, 5)
    runs = list((tmp_path / "tracking" / "wandb").rglob("run-unix-abababababab.wandb"))
    assert len(runs) in (1, 2) and all(run.stat().st_size for run in runs)  # two within a second share a folder


def test_trackio_shows_one_curve(tmp_path: Path) -> None:
    _real("trackio", tmp_path, 1, 3)
    _real("trackio", tmp_path, 2, 5)
    import sqlite3

    (database,) = (tmp_path / "tracking" / "trackio").glob("*.db")
    rows = sqlite3.connect(database).execute("select step from metrics order by step").fetchall()
    assert [step for (step,) in rows] == [1, 2, 3, 4, 5]
