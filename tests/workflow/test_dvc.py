"""DVC on a project with fake scripts: repro runs to the end once, then does nothing."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.workflow.project import Project
from unix_lib.recipes.plan import STAGES

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted(path.stem for path in (ROOT / "config").glob("*.yaml"))


def dvc(project: Project, *arguments: str) -> str:
    finished = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=project.folder,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@pytest.fixture
def versioned(project: Project) -> Project:
    """The project as a git and DVC repository whose default experiment is called `laptop`, with nothing made yet."""
    shutil.rmtree(project.results)
    (project.folder / "made.txt").unlink(missing_ok=True)
    project.config["experiment"] = "laptop"
    project.write_config()
    for name in ("dvc.yaml", ".gitignore"):
        shutil.copy(ROOT / name, project.folder / name)
    shutil.copytree(ROOT / ".dvc", project.folder / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
    (project.folder / ".venv" / "bin").mkdir(parents=True)
    for name, module in (("snakemake", "-m snakemake "), ("unix-lib", "-m unix_lib ")):
        program = project.folder / ".venv" / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {module}"$@"\n')
        program.chmod(0o755)
    subprocess.run(["git", "init", "--quiet"], cwd=project.folder, check=True)
    return project


def test_repro_runs_to_the_end_then_does_nothing(versioned: Project) -> None:
    dvc(versioned, "repro")
    made = versioned.made()
    assert {name.split("/")[0] for name in made} == set(STAGES)
    assert "0.5" in dvc(versioned, "metrics", "show")
    shown = dvc(versioned, "repro")
    assert "up to date" in shown
    assert versioned.made() == []
    versioned.config["train"]["log_steps"] = 3
    versioned.write_config()
    dvc(versioned, "repro")
    assert versioned.made() == []


def test_a_checkout_restores_deleted_results(versioned: Project) -> None:
    dvc(versioned, "repro")
    versioned.made()
    shutil.rmtree(versioned.folder / "results" / "laptop" / "train")
    dvc(versioned, "checkout")
    versioned.snakemake("--cores", "2", "--quiet", "all", "--", "all")
    assert versioned.made() == []


def test_every_experiment_has_a_pipeline_and_bare_repro_starts_only_the_default() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert all("matrix" not in stage and "foreach" not in stage for stage in stages.values())
    assert sorted([path.parent.name for path in (ROOT / "pipelines").glob("*/dvc.yaml")] + ["laptop"]) == CONFIGS


def test_no_output_lies_inside_another() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    outputs = [
        next(iter(item)) for stage in stages.values() for kind in ("outs", "metrics") for item in stage.get(kind, [])
    ]
    for first in outputs:
        assert not any(other != first and other.startswith(first + "/") for other in outputs)
    for stage in stages.values():
        for item in [*stage.get("outs", []), *stage.get("metrics", [])]:
            assert next(iter(item.values()))["persist"] is True
