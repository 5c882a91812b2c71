"""Nothing that Snakemake believes, after its own death or about file times, has a finished artefact made again."""

import os
import platform
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.workflow.project import ROOT, Project
from unix_lib.recipes.plan import STAGES

SLOW = "unix-step-00030"  # the job that outlives its driver


@contextmanager
def running(project: Project, *arguments: str, **variables: str) -> Iterator["subprocess.Popen[str]"]:
    """A driver at work in a session of its own, as in another terminal."""
    with (project.folder / "driver.log").open("w") as log:
        process = subprocess.Popen(
            project.command("--cores", "2", "--quiet", "all", *arguments, "--", "all"),
            cwd=project.folder,
            env=project.environment(**variables),
            stdout=log,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until(happens: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def manifests(project: Project) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in project.results.glob("*/*/manifest.json")}


def slow_job(project: Project) -> Path:
    """The lock of the slow job, which is there while it runs; its artefact is removed."""
    (folder,) = project.results.glob(f"train/{SLOW}-*")
    shutil.rmtree(folder)
    project.write_config()
    return project.results / "work" / "train" / f"{folder.name}.lock"


def test_what_a_job_finishes_after_its_driver_was_killed_is_not_made_again(project: Project) -> None:
    lock, go = slow_job(project), project.folder / "go"
    with running(project, FAKE_GO=str(go)) as driver:
        until(lambda: lock.exists() and lock.read_text())
        driver.kill()  # the driver alone: its job goes on
        driver.wait()
        with running(project) as again:  # at once, without --unlock or --rerun-incomplete
            until(lambda: "is at work on this; waiting" in attempts(project)[-1])
            go.touch()
            assert again.wait() == 0
    assert project.made() == [f"train/{SLOW}"]
    assert "made before, and whole" in attempts(project)[-1]
    assert project.run() == []


def attempts(project: Project) -> list[str]:
    """What each attempt at the slow job printed."""
    return [path.read_text() for path in sorted(project.results.glob(f"logs/train/attempts/{SLOW}-*"))]


def test_what_a_job_has_finished_while_no_driver_lived_is_found(project: Project) -> None:
    lock, go = slow_job(project), project.folder / "go"
    with running(project, FAKE_GO=str(go)) as driver:
        until(lambda: lock.exists() and lock.read_text())
        driver.kill()
        driver.wait()
        go.touch()
        until(lambda: not lock.exists())
    assert project.made() == [f"train/{SLOW}"]
    shown = project.snakemake("--cores", "2", "--", "all")
    assert "Nothing to be done" in shown.stdout + shown.stderr


def test_a_second_driver_is_refused_while_the_first_lives(project: Project) -> None:
    lock, go = slow_job(project), project.folder / "go"
    with running(project, FAKE_GO=str(go)) as driver:
        until(lambda: lock.exists() and lock.read_text())
        assert SLOW in project.snakemake("--cores", "1", "--dry-run", "--", "all").stdout
        second = project.snakemake("--cores", "2", "--", "all", check=False)
        assert second.returncode != 0
        (line,) = [line for line in second.stderr.splitlines() if "another Snakemake" in line]
        assert f"process {driver.pid} on {platform.node()}, since " in line
        assert "is making these results; wait until it ends" in line
        go.touch()
        assert driver.wait() == 0
    assert project.made() == [f"train/{SLOW}"]


@pytest.mark.parametrize("flag", ["--forceall", "--rerun-incomplete", "--touch"])
def test_no_flag_of_snakemake_s_makes_or_removes_what_is_whole(project: Project, flag: str) -> None:
    before = manifests(project)
    project.snakemake("--cores", "4", "--quiet", "all", flag, "--", "all")
    assert project.made() == []
    assert manifests(project) == before


@pytest.mark.parametrize("years", [-30, 30])
def test_an_upstream_artefact_that_is_made_again_runs_nothing_behind_it(project: Project, years: int) -> None:
    """Also where all the others seem to be of another time."""
    (vocabulary,) = project.results.glob("tokenizers/vocabulary-*")
    shutil.rmtree(vocabulary)
    then = time.time() + years * 365 * 86400
    for path in [*project.results.rglob("*"), *(project.folder / ".snakemake").rglob("*")]:
        os.utime(path, (then, then), follow_symlinks=False)
    assert project.run() == ["tokenizers/vocabulary"]


def test_a_job_on_a_host_whose_clock_is_behind_ends_well(project: Project) -> None:
    """A job of a cluster puts right the times of the marks before it."""
    (lost,) = project.results.glob("encode/digits-*")
    mark = project.results / "made" / "encode" / lost.name
    shutil.rmtree(lost)
    mark.unlink()
    ahead = time.time() + 3600
    for other in project.results.glob("made/*/*"):
        os.utime(other, (ahead, ahead))
    project.snakemake("--cores", "1", "--mode", "subprocess", "--nolock", str(mark.relative_to(project.folder)))
    assert project.made() == ["encode/digits"]


def test_an_artefact_that_was_damaged_is_made_again_when_its_job_is_asked_for(project: Project) -> None:
    (made,) = project.results.glob("encode/digits-*/made.txt")
    whole = made.read_bytes()
    made.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    (mark,) = project.results.glob("made/encode/digits-*")
    project.snakemake("--cores", "1", "--force", "--", str(mark.relative_to(project.folder)))
    assert project.made() == ["encode/digits"]
    assert made.read_bytes() == whole


def test_what_a_killed_job_was_writing_is_removed_by_the_next(project: Project) -> None:
    (lost,) = project.results.glob("encode/digits-*")
    (lost / "manifest.json").unlink()
    left = lost / ".made.txt.abc.part"
    left.write_text("half of i")
    assert project.run() == ["encode/digits"]
    assert not left.exists()


def test_an_unexpected_error_is_shown_with_its_log_and_earlier_attempts_stay_in_it(project: Project) -> None:
    (lost,) = project.results.glob("encode/digits-*")
    (lost / "manifest.json").unlink()
    for _ in range(2):
        failed = project.snakemake("--cores", "1", "--", "all", check=False, FAKE_SECONDS="soon")
        assert failed.returncode != 0
        told = re.search(r"ValueError: could not convert.*\n  traceback: (\S+)", failed.stderr)
        assert told is not None
    log = project.folder / told[1]
    logs = [path.read_text() for path in sorted(log.parent.glob(f"attempts/{log.name}.*"))]
    assert [text.count("Traceback") for text in logs] == [0, 1, 1]
    assert log.read_text() == logs[-1]


def test_a_job_that_ends_while_another_snakemake_looks_keeps_its_mark(tmp_path: Path) -> None:
    """That one has looked for manifests when the job writes its own, and sets marks afterwards."""
    names: dict[str, Any] = {"os": os, "Path": Path}
    exec((ROOT / "rules" / "bookkeeping.smk").read_text(), names)  # plain Python
    lost, ended = (Path(names["mark_of"](tmp_path, f"train/{name}")) for name in ("lost", "ended"))
    lost.parent.mkdir(parents=True)
    lost.touch()
    before = names["marked"](tmp_path)
    ended.touch()
    names["mark_finished"](["train/lost", "train/ended"], {"train/lost", "train/ended"}, before, tmp_path)
    assert ended.exists() and not lost.exists()


def test_marks_that_cannot_be_written_are_told_in_a_line(project: Project) -> None:
    shutil.rmtree(project.results / "made" / "sources")
    (project.results / "made" / "sources").write_text("no folder")
    failed = project.snakemake("--cores", "1", "--", "all", check=False)
    assert failed.returncode != 0 and "File exists" in failed.stderr
    assert re.search(r"^WorkflowError[^\n]*:\n[^\n]*made/sources", failed.stderr, re.MULTILINE)


@pytest.mark.parametrize("stage", STAGES)
def test_a_job_of_every_stage_runs_inside_a_cluster_s_job(project: Project, stage: str) -> None:
    """There only what Snakemake itself has made has a mark, and answers are made by their group."""
    marks = set(project.results.glob("made/*/*"))
    mark = max(mark for mark in marks if mark.parent.name == stage)
    (project.results / stage / mark.name / "manifest.json").unlink()
    mark.unlink()
    project.snakemake("--cores", "1", "--mode", "subprocess", "--nolock", str(mark.relative_to(project.folder)))
    assert project.made() == [f"{stage}/{mark.name.rpartition('-')[0]}"]
    assert set(project.results.glob("made/*/*")) == marks  # no other job was started
