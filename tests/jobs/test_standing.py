"""How far a running job is, as another process reads it, and who holds its lock."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from unix_lib.jobs import holders
from unix_lib.jobs.holders import holder_of
from unix_lib.jobs.lock import STALE_SECONDS, Lock
from unix_lib.jobs.progress import Progress
from unix_lib.jobs.standing import read_standing, recorded, standing_path

LOG = logging.getLogger(__name__)


def test_a_job_says_how_far_it_is_while_it_runs_and_no_longer(tmp_path: Path) -> None:
    work = tmp_path / "encode" / "photos-000000000000"
    work.parent.mkdir()
    path = standing_path(work)
    with recorded(work):
        progress = Progress(10, "images", LOG)
        progress.advance(4, known=4)
        first = read_standing(path)
        assert first is not None and (first.done, first.total, first.unit) == (4, 10, "images")
        assert first.seconds_left is None  # nothing of it took time yet
        progress.advance(1)
        assert read_standing(path) == first  # too soon after the last word
        progress.advance(5, values={"loss": 0.5})
        last = read_standing(path)
        assert last is not None and (last.done, last.values) == (10, {"loss": 0.5})
    assert read_standing(path) is None and not any(work.parent.iterdir())


def test_a_job_that_fails_leaves_its_last_word_and_one_inside_another_has_none(tmp_path: Path) -> None:
    outer, inner = tmp_path / "group", tmp_path / "member"
    with pytest.raises(ZeroDivisionError), recorded(outer):
        with recorded(inner):
            Progress(3, "samples", LOG).advance(2)
        raise ZeroDivisionError
    standing = read_standing(standing_path(outer))
    assert standing is not None and standing.done == 2
    assert not standing_path(inner).exists()
    assert Progress(1, "things", LOG)._record is None  # no job, no record


def test_a_record_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    with recorded(tmp_path / "no such folder" / "job"):
        Progress(2, "steps", LOG).advance(1, values={"loss": float("nan")})
    (tmp_path / "x.standing.json").write_text('{"began": 1')
    assert read_standing(tmp_path / "x.standing.json") is None


def test_a_lock_is_held_by_a_process_that_lives(tmp_path: Path) -> None:
    path = tmp_path / "job.lock"
    assert holder_of(path) is None
    code = "import sys, time; from pathlib import Path; from unix_lib.jobs.lock import Lock\n"
    code += "with Lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"held\n"
    holder = holder_of(path)
    assert holder is not None and holder.pid == process.pid
    process.kill()
    process.wait()
    assert path.exists()
    assert holder_of(path) is None


def test_without_the_kernels_list_a_holder_is_a_process_that_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holders, "LOCKS", tmp_path / "none")
    with Lock(tmp_path / "job.lock"):
        assert holder_of(tmp_path / "job.lock") is not None


def test_a_holder_on_another_host_counts_as_long_as_it_renews_its_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "job.lock"
    path.write_text(json.dumps({"token": "t", "host": "node17", "pid": 1, "slurm_job": "42"}))
    holder = holder_of(path)
    assert holder is not None and str(holder) == "process 1 on node17, SLURM job 42"
    written = path.stat().st_mtime
    monkeypatch.setattr(holders.time, "time", lambda: written + STALE_SECONDS + 1)
    assert holder_of(path) is None
