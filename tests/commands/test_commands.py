"""The command line on a finished project: plan, status, verify, prune, describe, doctor, errors on one line."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.workflow.project import Project
from unix_lib.artefacts.manifest import write_manifest
from unix_lib.artefacts.recipe import read_recipe
from unix_lib.artefacts.sealed import seal
from unix_lib.commands import experiment
from unix_lib.commands.experiment import PlannedExperiment
from unix_lib.recipes.workspace import link_current
from unix_lib.train.state import Progress, write_progress


def command(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "unix_lib", *arguments],
        cwd=project.folder,
        env=project.environment(COLUMNS="200"),
        capture_output=True,
        text=True,
        check=False,
    )


def test_plan_says_what_is_done_what_would_run_and_why(project: Project) -> None:
    done = command(project, "plan").stdout
    assert "Nothing would run" in done and "sources.prose: the prose is the reference of Python" in done
    project.config["train"]["runs"]["unix"]["optimization"]["learning_rate"] = 0.5
    project.write_config()
    shown = command(project, "plan").stdout
    assert "changed: optimization.learning_rate (3)" in shown
    assert "changed upstream" in shown
    unix_row = next(line for line in shown.splitlines() if line.startswith("│ unix"))
    assert "unix 1:1" in unix_row, shown
    assert "0/3" in unix_row


def test_power_says_what_is_not_known_and_refuses_a_difference_of_nothing(project: Project) -> None:
    finished = command(project, "power")
    assert finished.returncode == 0, finished.stderr
    assert "What tiny could decide" in finished.stdout and "not known" in finished.stdout
    assert (project.results / "preview" / "power.svg").is_file()
    refused = command(project, "power", "--decide", "9=1")
    assert refused.returncode != 0 and "--decide 9: config/laptop.yaml plans nothing" in refused.stderr


def test_plan_says_what_an_epoch_has_of_each_source_and_what_is_repeated(project: Project) -> None:
    parts = project.config["pack"]["mixtures"]["mixed"]["parts"]
    parts[0]["weight"], parts[1]["tokens"] = 2.5, 10**9
    project.write_config()
    shown = command(project, "plan").stdout
    rows = [line.split("│")[1:-1] for line in shown.splitlines() if line.startswith(("│ mixed", "│ text"))]
    cells = {(row[0].strip(), row[1].strip()): [cell.strip() for cell in row[2:]] for row in rows}
    assert cells.keys() == {("text", "prose"), ("mixed", "digits"), ("mixed", "prose"), ("mixed", "all")}
    assert cells["mixed", "digits"][0] == "2.5"
    assert cells["mixed", "prose"][2] == "~1B" and cells["mixed", "prose"][3] == "0"
    assert "~ tokens: an estimate" in shown
    assert "pack.mixtures.mixed: each record of source digits is used 2.5 times an epoch." in shown
    assert "pack.mixtures.mixed: each record of source prose is used about" in shown


def test_status_counts_what_is_done_and_refreshes_the_links(project: Project) -> None:
    shutil.rmtree(project.results / "current")
    shown = command(project, "status").stdout
    row = next(line for line in shown.splitlines() if "train" in line)
    assert "7" in row
    assert (project.results / "current" / "report" / "summary" / "index.html").is_file()


def test_verify_exits_with_one_on_damage(project: Project) -> None:
    assert command(project, "verify", "results/tiny").returncode == 0
    next(project.results.glob("pack/mixed-*/made.txt")).write_text("damaged")
    finished = command(project, "verify", "results/tiny")
    assert finished.returncode == 1
    assert "made.txt" in finished.stdout


def test_prune_removes_only_what_no_config_reaches(project: Project) -> None:
    project.config["train"]["runs"]["unix"]["seed"] = 77
    made = project.run()
    before = {path.name for path in project.results.glob("train/*")}
    listed = command(project, "prune", "results/tiny")
    assert "--delete removes them" in listed.stdout
    assert {path.name for path in project.results.glob("train/*")} == before
    assert command(project, "prune", "results/tiny", "--delete").returncode == 0
    after = {path.name for path in project.results.glob("train/*")}
    assert after < before
    assert len(before - after) == sum(name.startswith("train/unix") for name in made)
    assert project.run() == []


def test_prune_keeps_what_a_config_reaches_whose_name_comes_from_what_it_extends(project: Project) -> None:
    other = {"extends": "laptop.yaml", "train": {"runs": {"unix": {"seed": 77}}}}
    (project.folder / "config" / "mine.yaml").write_text(yaml.safe_dump(other))
    project.snakemake("--cores", "4", "--quiet", "all", "--configfile", "config/mine.yaml", "--", "all")
    assert "0 items" in command(project, "prune", "results/tiny").stdout


@pytest.mark.parametrize("content", [b"experiment: [tiny", b"experiment: caf\xe9", b"extends: lost.yaml"])
def test_prune_refuses_while_it_cannot_read_a_config(project: Project, content: bytes) -> None:
    (project.folder / "config" / "broken.yaml").write_bytes(content)
    before = sorted(project.results.rglob("*"))
    finished = command(project, "prune", "results/tiny", "--delete")
    assert finished.returncode != 0
    assert finished.stderr.startswith("UserError: config/broken.yaml: ")
    assert len(finished.stderr.splitlines()) == 1
    assert sorted(project.results.rglob("*")) == before


def test_plan_does_without_what_it_cannot_read(project: Project) -> None:
    project.config["train"]["runs"]["unix"]["seed"] = 5
    project.write_config()
    recipe = next(project.results.glob("recipes/train/unix-step-00010-????????????.json"))
    recipe.write_text(recipe.read_text()[:40])
    manifest = next(project.results.glob("pack/mixed-*/manifest.json"))
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"provenance": None}))
    (project.results / "summary").mkdir()
    (project.results / "summary" / "wall_times.csv").write_text("stage,name,wall_seconds\n<<<<<<< HEAD\n")
    finished = command(project, "plan")
    assert finished.returncode == 0, finished.stderr
    assert f"skipped {recipe.relative_to(project.folder)}: unreadable recipe" in finished.stdout
    assert "wall_times.csv: 1 lines are no wall times" in finished.stdout
    assert "earlier recipe unreadable (1)" in finished.stdout
    assert command(project, "verify", "results/tiny").returncode == 1


def test_prune_removes_states_that_no_checkpoint_starts_from(project: Project) -> None:
    states: dict[str, list[Path]] = {}
    for path in sorted(project.results.glob("recipes/train/*-????????????.json")):
        recipe = read_recipe(path)
        folder, settings = project.results / recipe.artefact, recipe.settings
        write_progress(folder / "state", Progress(step=settings["step"]))
        seal(folder / "state")
        write_manifest(folder, recipe.digest, {"made.txt": None}, facts=settings)
        states.setdefault(settings["run"], []).append(folder / "state")
    older = {state for run in states.values() for state in run[:-1]}
    assert older
    listed = command(project, "prune", "results/tiny", "--states").stdout
    assert {
        state for run in states.values() for state in run if str(state.relative_to(project.folder)) in listed
    } == older
    assert command(project, "prune", "results/tiny", "--states", "--delete").returncode == 0
    assert {state for run in states.values() for state in run if not state.exists()} == older
    assert command(project, "verify", "results/tiny").returncode == 0
    assert project.run() == []


def test_describe_shows_layers_and_costs(project: Project) -> None:
    shown = command(project, "describe").stdout
    assert "within_modality" in shown
    assert "1-2" in shown


def test_doctor_lists_packages_and_what_is_missing(project: Project) -> None:
    shown = command(project, "doctor")
    assert shown.returncode == 0, shown.stdout
    assert "snakemake-executor-plugin-slurm" in shown.stdout
    assert "sources.prose: the prose is the reference of Python" in shown.stdout


def test_errors_are_one_line_without_traceback(project: Project) -> None:
    finished = command(project, "plan", "config/nothing.yaml")
    assert finished.returncode != 0
    assert finished.stderr.startswith("ConfigError: config/nothing.yaml: no such config")
    assert len(finished.stderr.strip().splitlines()) == 1
    assert command(project, "verify", "results/none").stderr.startswith("UserError: results/none")
    nothing = command(project, "verify", "results")
    assert nothing.returncode != 0
    assert nothing.stderr.startswith("UserError: results: no finished artefact in it; give results/<experiment>")


def test_artefacts_carry_their_own_recipe(project: Project) -> None:
    folder = next(project.results.glob("train/unix-step-00010-*"))
    recipe = json.loads((folder / "recipe.json").read_text())
    assert recipe["settings"]["step"] == 10


def test_an_error_that_nobody_foresaw_is_one_line_and_a_file(project: Project) -> None:
    module = project.folder / "unix_lib" / "commands" / "describe.py"
    module.write_text(module.read_text() + "\n\ndef run(path, console):\n    raise ValueError('a [/b] c')\n")
    finished = command(project, "describe")
    assert finished.returncode == 1
    (line,) = finished.stderr.splitlines()
    told, _, log = line.partition("; the traceback is in ")
    assert told == "unexpected ValueError: a [/b] c"
    assert Path(log).read_text().startswith("Traceback")
    Path(log).unlink()


def test_a_figure_that_cannot_be_drawn_stops_no_other(project: Project) -> None:
    entropy = next(project.results.glob("analyze/entropy-*"))
    pd.DataFrame({"unknown": [1]}).to_parquet(entropy / "entropy.parquet")
    finished = command(project, "figures")
    failed, drawn = finished.stdout.splitlines()
    assert finished.returncode == 1 and finished.stderr == ""
    assert failed.startswith("failed conditional_entropy: unexpected ") and "the traceback is in" in failed
    assert drawn == "drawn results/tiny/preview/scores_over_tokens.png"
    Path(failed.split()[-1]).unlink()


def test_results_copied_with_links_followed_are_results(project: Project) -> None:
    """`cp -rL` makes folders of the links in current."""
    current = project.results / "current"
    links = sorted(path for path in current.glob("*/*"))
    copy = shutil.copytree(current, project.results / "copy", symlinks=False)
    shutil.rmtree(current)
    copy.rename(current)
    assert links and not any(path.is_symlink() for path in links)
    (current / "pack" / "mixed" / "notes.txt").write_text("somebody's own")
    for arguments in (("status",), ("verify", "results/tiny"), ("prune", "results/tiny"), ("plan",)):
        finished = command(project, *arguments)
        assert finished.returncode == 0, finished.stdout + finished.stderr
    assert project.run() == []
    own = current / "pack" / "mixed"
    assert [path for path in links if not path.is_symlink()] == [own] and (own / "notes.txt").is_file()
    warned = command(project, "status").stderr
    assert f"{own.relative_to(project.folder)} is no link to ../../pack/mixed-" in warned and "Traceback" not in warned


def test_without_links_results_are_said_to_lie_in_their_stages(
    project: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(project.folder)
    shutil.rmtree(project.results / "current")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "symlink", refuse)
    monkeypatch.setattr(experiment, "require_library", lambda root: None)  # the clone's is a copy of this one
    planned = PlannedExperiment.load(Path("config/laptop.yaml"))
    link_current(planned.plan, planned.results)
    (warned,) = [record.getMessage() for record in caplog.records]
    assert warned == "results/tiny/current: no links on this file system; results are in results/tiny/<stage>"
