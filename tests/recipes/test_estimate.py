"""Estimates come from measurements of the same experiment only, those of this machine first."""

from pathlib import Path

from tests.artefacts.test_artefacts import make_job
from unix_lib.artefacts.recipe import Recipe
from unix_lib.recipes.estimate import WallTimes


def recipe(name: str) -> Recipe:
    return Recipe("train", name, 1, {"name": name})


def test_like_jobs_lend_their_median_and_unlike_ones_nothing(tmp_path: Path) -> None:
    summary = tmp_path / "summary"
    summary.mkdir()
    (summary / "wall_times.csv").write_text(
        "stage,name,wall_seconds\ntrain,unix-step-00100,10\ntrain,unix-step-00200,30\ntrain,unix-step-00300,20\n"
    )
    times = WallTimes(tmp_path)
    assert times.estimate(recipe("unix-step-00200")) == 30
    assert times.estimate(recipe("mot-step-00200")) == 20
    assert times.estimate(Recipe("pack", "mixed", 1, {})) is None


def test_lines_that_are_no_wall_times_are_skipped_and_named(tmp_path: Path) -> None:
    (tmp_path / "summary").mkdir()
    path = tmp_path / "summary" / "wall_times.csv"
    path.write_text(
        "stage,name,wall_seconds\n<<<<<<< HEAD\ntrain,unix-step-00100,10\n=======\ntrain,unix-step-00100,nan\n"
        "train,unix-step-00100,None\n>>>>>>> theirs\n"
    )
    times = WallTimes(tmp_path)
    assert times.estimate(recipe("unix-step-00100")) == 10
    (line,) = times.skipped
    assert line.startswith(f"{path}: 5 lines are no wall times, the first is line 2; ")
    path.write_text("<<<<<<< HEAD\nstage,name,wall_seconds\ntrain,unix-step-00100,10\n")
    assert WallTimes(tmp_path).estimate(recipe("unix-step-00100")) is None


def test_what_was_measured_here_comes_before_the_summary(tmp_path: Path) -> None:
    (tmp_path / "summary").mkdir()
    (tmp_path / "summary" / "wall_times.csv").write_text("stage,name,wall_seconds\ntrain,unix-step-00100,1000\n")
    make_job(tmp_path, recipe("unix-step-00100")).finish({})
    estimate = WallTimes(tmp_path).estimate(recipe("unix-step-00100"))
    assert estimate is not None and estimate < 10
