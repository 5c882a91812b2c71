"""DVC on a project with fake scripts: repro runs to the end once, then does nothing, until something changes that
Snakemake decides by."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workflow.project import Project
from unix_lib.config import load_experiment
from unix_lib.recipes.plan import STAGES

ROOT = Path(__file__).resolve().parents[2]
ALL = ["data", "train", "generate", "evaluate", "analyze", "report"]
BASE = "train: {runs: {unix: {seed: 5}}}"
CAPTIONS = json.dumps({"image": "a.png", "caption": "an image"})
OUTSIDE = {
    "config/base.yaml": BASE,
    "data/texts/first.txt": "A text.",
    "data/captions.jsonl": CAPTIONS,
    "data/images/a.png": "an image",
    "data/questions.tsv": "a question",
    "data/tokenizer/tokenizer.json": "{}\n",
}
PHOTOS = {"kind": "image_folder", "folder": "data/images", "captions": "data/captions.jsonl", "image_size": 32}
POPE = {"scorer": "yes_no", "layout": "pope", "file": "data/questions.tsv", "chance": 0.5}
CONFIGS = sorted(path.stem for path in (ROOT / "config").glob("*.yaml"))


def stages_of(experiment: str) -> dict[str, Any]:
    """The DVC stages of an experiment."""
    path = ROOT / ("dvc.yaml" if experiment == "laptop" else f"pipelines/{experiment}/dvc.yaml")
    stages: dict[str, Any] = yaml.safe_load(path.read_text().replace("${experiment}", experiment))["stages"]
    return stages


def outputs_of(stage: dict[str, Any]) -> list[str]:
    return [next(iter(item)) for kind in ("outs", "metrics") for item in stage.get(kind, [])]


def write(project: Project, files: dict[str, str]) -> None:
    for name, text in files.items():
        (project.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (project.folder / name).write_text(text)


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


@pytest.fixture(scope="module")
def unmade(finished_project: tuple[Project, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project as a git and DVC repository whose default experiment is called `laptop`, with nothing made yet."""
    project = finished_project[0].copy_to(tmp_path_factory.mktemp("dvc") / "clone")
    shutil.rmtree(project.results)
    project.made()
    write(project, OUTSIDE)
    config = project.config
    config |= {"experiment": "laptop", "extends": "base.yaml"}
    config["sources"] |= {"photos": PHOTOS, "texts": {"kind": "text", "corpus": "files", "files": ["data/texts/*.txt"]}}
    config["tokenizers"]["text"] = {"kind": "pretrained", "path": "data/tokenizer"}
    config["pack"]["mixtures"]["mixed"]["parts"] += [{"source": "photos"}, {"source": "texts"}]
    config["evaluate"]["groups"]["all"].append("pope")
    config["evaluate"]["benchmarks"]["pope"] = POPE
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


@pytest.fixture(scope="module")
def made(unmade: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same after a `dvc repro`, which ran every stage."""
    project = unmade.copy_to(tmp_path_factory.mktemp("made") / "clone")
    assert reproduced(dvc(project, "repro")) == ["plan", *ALL]
    assert {name.split("/")[0] for name in project.made()} == set(STAGES)
    return project


@pytest.fixture
def versioned(made: Project, tmp_path: Path) -> Project:
    """One of the test's own."""
    return made.copy_to(tmp_path / "clone")


def reproduced(shown: str) -> list[str]:
    """Stages that a `dvc repro` ran."""
    return re.findall(r"Running stage '(?:\S+:)?(\w+)'", shown)


def stale(project: Project) -> list[str]:
    """Stages whose `dvc status` is not that of a finished one, once the plan is made anew."""
    subprocess.run([".venv/bin/unix-lib", "planned"], cwd=project.folder, env=project.environment(), check=True)
    status = json.loads(dvc(project, "status", *ALL, "--json"))
    return [stage for stage in ALL if stage in status]


def test_repro_on_finished_results_asks_for_the_plan_and_does_nothing(versioned: Project) -> None:
    assert "0.5" in dvc(versioned, "metrics", "show")
    assert reproduced(dvc(versioned, "repro")) == ["plan"]
    versioned.config["train"]["log_steps"] = 3
    versioned.write_config()
    assert reproduced(dvc(versioned, "repro")) == ["plan"]  # what changes no result is no reason
    assert versioned.made() == []


def edited(name: str, text: str) -> Callable[[Project], None]:
    return lambda project: write(project, {name: text})


def logic_version_raised(project: Project) -> None:
    module = project.folder / "unix_lib" / "config" / "encode.py"
    text = module.read_text()
    raised = re.sub(r"(CODES = JobKind\(.*), (\d+),", lambda found: f"{found[1]}, {int(found[2]) + 1},", text)
    assert raised != text
    module.write_text(raised)


# What Snakemake decides by, and the stages that are stale after a change of it.
CHANGES = {
    "a config that another one extends": (edited("config/base.yaml", BASE.replace("5", "7")), ALL[1:]),
    "a new text": (edited("data/texts/second.txt", "Another one."), ALL),
    "captions": (edited("data/captions.jsonl", CAPTIONS.replace("an image", "another")), ALL),
    "an image": (edited("data/images/a.png", "another"), ALL),
    "a benchmark's file": (edited("data/questions.tsv", "another"), ["generate", "evaluate", "report"]),
    "a pretrained folder": (edited("data/tokenizer/tokenizer.json", "{}"), ALL),
    "a logic version": (logic_version_raised, ALL),
}


def test_what_snakemake_decides_by_makes_stages_stale(versioned: Project) -> None:
    assert stale(versioned) == []
    for what, (change, stages) in CHANGES.items():
        change(versioned)
        assert stale(versioned) == stages, what
        assert "Nothing to be done" not in versioned.snakemake("--dry-run", "--", "all").stdout, what
        dvc(versioned, "commit", "--force")  # as if it had been made
        assert stale(versioned) == [], what


def test_repro_makes_what_an_extended_config_changed(versioned: Project) -> None:
    CHANGES["a config that another one extends"][0](versioned)
    assert reproduced(dvc(versioned, "repro")) == ["plan", *ALL[1:]]
    trained = [name for name in versioned.made() if name.startswith("train/")]
    assert trained == ["train/unix-step-00000", "train/unix-step-00010", "train/unix-step-00030"]
    assert reproduced(dvc(versioned, "repro")) == ["plan"]


def test_a_config_edited_in_the_middle_and_back_leaves_nothing_stale(unmade: Project, tmp_path: Path) -> None:
    """A stage that ran by the edited config is not taken for one of the config as it is again."""
    project = unmade.copy_to(tmp_path / "clone")
    dvc(project, "repro", "plan")
    write(project, {"data/texts/first.txt": "Edited."})
    dvc(project, "repro", "--single-item", "data")
    assert "sources/texts" in project.made()
    write(project, OUTSIDE)
    assert reproduced(dvc(project, "repro", "data")) == ["plan", "data"]
    assert "sources/texts" in project.made()


def test_a_clone_pulls_results_and_has_nothing_to_do(versioned: Project, tmp_path: Path) -> None:
    dvc(versioned, "remote", "add", "--default", "store", str(tmp_path / "store"))
    dvc(versioned, "push")
    clone = versioned.copy_to(tmp_path / "other")
    shutil.rmtree(clone.folder / ".dvc" / "cache")
    for path in (clone.folder / "results" / "laptop").iterdir():
        if path.name != "summary":  # kept in git
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    dvc(clone, "pull")
    assert reproduced(dvc(clone, "repro")) == ["plan"]
    assert "0.5" in dvc(clone, "metrics", "show")


def test_a_checkout_restores_deleted_results(versioned: Project) -> None:
    shutil.rmtree(versioned.folder / "results" / "laptop" / "train")
    dvc(versioned, "checkout")
    versioned.snakemake("--cores", "2", "--quiet", "all", "--", "all")
    assert versioned.made() == []


def test_every_experiment_has_a_pipeline_and_bare_repro_starts_only_the_default() -> None:
    assert all("matrix" not in stage and "foreach" not in stage for stage in stages_of("laptop").values())
    assert sorted([path.parent.name for path in (ROOT / "pipelines").glob("*/dvc.yaml")] + ["laptop"]) == CONFIGS


@pytest.mark.parametrize("experiment", CONFIGS)
def test_every_stage_depends_on_what_is_planned(experiment: str) -> None:
    """On all of it together: no stage of Snakemake that the experiment has is missing."""
    translates = load_experiment(ROOT / "config" / f"{experiment}.yaml").translations
    expected = {stage for stage in STAGES if stage != "translate" or translates}
    plan, *others = stages_of(experiment).values()
    planned = f"results/{experiment}/planned.json"
    assert plan["always_changed"]
    assert outputs_of(plan) == [planned]
    assert all(planned in (stage["params"][0]) for stage in others)
    keys = [key for stage in others for key in stage["params"][0][planned] or expected]
    assert sorted(keys) == sorted(expected)
    for stage in others:  # those that it makes are those that it depends on
        made = {output.split("/")[2] for output in outputs_of(stage)} - {"summary"}
        assert made == set(stage["params"][0][planned] or expected)


def test_the_lock_says_what_every_stage_was_made_from() -> None:
    locked = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]
    stages = stages_of("laptop")
    assert locked.keys() == stages.keys()
    for name, stage in stages.items():
        expected = {path: sorted(keys) for item in stage.get("params", []) for path, keys in item.items()}
        assert {path: sorted(keys) for path, keys in locked[name].get("params", {}).items()} == expected
        assert [item["path"] for item in locked[name].get("deps", [])] == sorted(stage.get("deps", []))
        assert [item["path"] for item in locked[name]["outs"]] == sorted(outputs_of(stage))


def test_no_output_lies_inside_another() -> None:
    stages = stages_of("laptop").values()
    outputs = [output for stage in stages for output in outputs_of(stage)]
    for first in outputs:
        assert not any(other != first and other.startswith(first + "/") for other in outputs)
    for stage in stages:
        for item in [*stage.get("outs", []), *stage.get("metrics", [])]:
            assert next(iter(item.values()))["persist"] is True
