"""Estimates scale what was measured by work: own results before others', those before summaries, arithmetic last."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.recipes.finished import finish, finish_all, small_plan
from unix_lib.artefacts.manifest import MANIFEST
from unix_lib.recipes.estimate import START_SECONDS, UNMEASURED_SPREAD, Estimates
from unix_lib.recipes.plan import Plan
from unix_lib.recipes.wall_times import wall_times_text


def longer(values: dict[str, Any]) -> None:
    """Ten times the steps, in as many segments."""
    for run in values["train"]["runs"].values():
        run["optimization"] = {"total_steps": 300}
        run["checkpoints"] = [step * 10 for step in run["checkpoints"]]


def wider(values: dict[str, Any]) -> None:
    values["train"]["runs"]["base"]["start"]["shape"]["hidden_size"] = 512


def last(plan: Plan, run: str) -> str:
    return plan.checkpoint(run, plan.checkpoint_steps(run)[-1])


def summary(results: Path, text: str) -> Path:
    path = results / "summary" / "wall_times.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_ten_times_the_steps_take_about_ten_times_as_long(tmp_path: Path) -> None:
    """On a machine where nothing ran, and where the short runs did."""
    results, short_plan, long_plan = tmp_path / "tiny", small_plan(), small_plan(longer)
    for measured in (False, True):
        if measured:
            finish_all(short_plan, results, seconds=200)
        short, long = Estimates(short_plan, results), Estimates(long_plan, results)
        for run in ("base", "shared", "unix"):
            seconds = [e.of(last(p, run)).seconds - START_SECONDS for e, p in ((short, short_plan), (long, long_plan))]
            assert seconds[1] == pytest.approx(10 * seconds[0], rel=0.05)
            assert long.of(last(long_plan, run)).measured is measured


def test_a_wider_model_takes_longer_and_a_segment_counts_its_own_steps(tmp_path: Path) -> None:
    plan, results = small_plan(), tmp_path / "tiny"
    finish(plan, last(plan, "base"), results, 100)
    estimates = Estimates(plan, results)
    first, second = (estimates.of(plan.checkpoint("shared", step)).seconds for step in (10, 30))
    assert second - first == pytest.approx(first - estimates.of(plan.checkpoint("shared", 0)).seconds, rel=0.01)
    wide = small_plan(wider)
    assert Estimates(wide, results).of(last(wide, "unix")).seconds > 3 * estimates.of(last(plan, "unix")).seconds


def test_own_measurements_come_before_those_of_other_experiments_and_summaries_last(tmp_path: Path) -> None:
    plan, results = small_plan(), tmp_path / "tiny"
    base = last(plan, "base")
    assert Estimates(plan, results).of(base).spread == UNMEASURED_SPREAD
    summary(tmp_path / "third", wall_times_text(plan, {base: 4000.0}))
    summary(results, wall_times_text(plan, {base: 3000.0}))
    assert Estimates(plan, results).of(base).seconds == pytest.approx(3000)
    finish(plan, base, tmp_path / "other", 2000)
    foreign = Estimates(plan, results).of(base)
    assert foreign.seconds == pytest.approx(2000, rel=0.01)
    finish(plan, base, results, 1000)
    own = Estimates(plan, results).of(base)
    assert own.seconds == pytest.approx(1000, rel=0.01)
    assert own.measured and own.spread < foreign.spread
    (results / base / MANIFEST).unlink()
    (results / "summary" / "wall_times.csv").unlink()
    (tmp_path / "other" / base / MANIFEST).unlink()
    assert Estimates(plan, results).of(base).seconds == pytest.approx(4000)


def test_a_cpu_says_nothing_about_gpus_and_more_processors_share_the_work(tmp_path: Path) -> None:
    def on_gpus(values: dict[str, Any]) -> None:
        values["train"]["job"] = {"gpus": 2}

    def on_threads(values: dict[str, Any]) -> None:
        values["train"]["job"] = {"threads": 4}

    plan, results = small_plan(), tmp_path / "tiny"
    finish(plan, last(plan, "base"), results, 1000)
    gpus, threads = small_plan(on_gpus), small_plan(on_threads)
    assert not Estimates(gpus, results).of(last(gpus, "base")).measured
    assert Estimates(threads, results).of(last(threads, "base")).seconds == pytest.approx(250, rel=0.05)


def test_a_summary_of_an_earlier_version_is_read_by_name(tmp_path: Path) -> None:
    plan = small_plan()
    text = "stage,name,wall_seconds\ntrain,base-step-00030,77\nevaluate,shared-step-00010-gone,5\n"
    summary(tmp_path / "tiny", text)
    estimates = Estimates(plan, tmp_path / "tiny")
    assert estimates.of(last(plan, "base")).seconds == pytest.approx(77)
    assert estimates.skipped == []
    # Of another experiment it says nothing: jobs of one name need not be alike.
    assert not Estimates(plan, tmp_path / "own").of(last(plan, "base")).measured


def test_lines_that_are_no_wall_times_are_skipped_and_named(tmp_path: Path) -> None:
    results = tmp_path / "tiny"
    path = summary(
        results,
        "stage,name,wall_seconds\n<<<<<<< HEAD\ntrain,base-step-00030,10\n=======\ntrain,base-step-00030,nan\n"
        "train,base-step-00030,None\n>>>>>>> theirs\n",
    )
    plan = small_plan()
    estimates = Estimates(plan, results)
    assert estimates.of(last(plan, "base")).seconds == pytest.approx(10)
    (line,) = estimates.skipped
    assert line.startswith(f"{path}: 5 lines are no wall times, the first is line 2; ")
    for noise in (b"\0" * 200_000, b'"' + b"x\n" * 100_000, b"\xff\r\n\r" * 9, random.Random(1).randbytes(300_000)):
        path.write_bytes(noise)
        assert not Estimates(plan, results).of(last(plan, "base")).measured
    path.write_text("<<<<<<< HEAD\nstage,name,wall_seconds\ntrain,base-step-00030,10\n")
    assert not Estimates(plan, results).of(last(plan, "base")).measured


def test_a_job_of_several_artefacts_is_measured_once(tmp_path: Path) -> None:
    """The group's own time holds its members', and is scaled by what they have to do."""
    plan, results = small_plan(), tmp_path / "tiny"
    finish_all(plan, results, seconds=50)
    (group,) = [a for a in plan.of_kind("generate", "group") if plan.jobs[a].recipe.name.startswith("unix-step-00030")]
    assert Estimates(plan, results).of(group).seconds == pytest.approx(50, rel=0.01)


def test_what_is_damaged_or_of_an_earlier_version_measures_nothing(tmp_path: Path) -> None:
    plan, results = small_plan(), tmp_path / "tiny"
    base = last(plan, "base")
    finish(plan, base, results, 1000)
    path = results / base / "recipe.json"
    values = json.loads(path.read_text())
    del values["kind"]
    path.write_text(json.dumps(values))
    assert not Estimates(plan, results).of(base).measured


def test_every_kind_of_job_has_an_estimate(tmp_path: Path) -> None:
    plan = small_plan()
    estimates = Estimates(plan, tmp_path / "tiny")
    for artefact in plan.jobs:
        assert estimates.of(artefact).seconds >= START_SECONDS
