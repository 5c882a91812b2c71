"""DVC on a project with fake scripts: repro runs to the end once, then does nothing, until something changes that
Snakemake decides by."""

import contextlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workflow.dvc_project import dvc, make_repository, reproduced, unix_lib
from tests.workflow.project import ROOT, Project
from unix_lib.config import load_experiment
from unix_lib.recipes.plan import STAGES
from unix_lib.recipes.resolve import resolve
from unix_lib.versioning.pipeline import write_pipeline
from unix_lib.versioning.policy import write_left_out

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


def pipeline_of(experiment: str, folder: Path, profile: str | None = None) -> Path:
    """What `unix-lib pipeline` writes for one of the project's configs."""
    plan = resolve(load_experiment(ROOT / "config" / f"{experiment}.yaml"), ROOT)
    with contextlib.chdir(folder):
        return folder / write_pipeline(plan, Path(f"config/{experiment}.yaml"), profile)


def stages_in(pipeline: Path) -> dict[str, Any]:
    """The DVC stages of a pipeline."""
    stages: dict[str, Any] = yaml.safe_load(pipeline.read_text())["stages"]
    return stages


def outputs_of(stage: dict[str, Any]) -> list[str]:
    return [next(iter(item)) for kind in ("outs", "metrics") for item in stage.get(kind, [])]


def write(project: Project, files: dict[str, str]) -> None:
    for name, text in files.items():
        (project.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (project.folder / name).write_text(text)


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
    make_repository(project)
    unix_lib(project, "pipeline", "config/laptop.yaml")
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


def stale(project: Project) -> list[str]:
    """Stages whose `dvc status` is not that of a finished one, once the plan is made anew."""
    unix_lib(project, "planned")
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


def test_a_checkout_restores_deleted_results(versioned: Project) -> None:
    shutil.rmtree(versioned.folder / "results" / "laptop" / "train")
    dvc(versioned, "checkout")
    versioned.snakemake("--cores", "2", "--quiet", "all", "--", "all")
    assert versioned.made() == []


def test_the_default_pipeline_is_as_it_is_written(tmp_path: Path) -> None:
    assert (ROOT / "dvc.yaml").read_text() == pipeline_of("laptop", tmp_path).read_text()
    assert not list(ROOT.glob("pipelines/*/dvc.yaml"))  # DVC would ask for what never ran
    written = write_left_out_of("laptop", tmp_path)
    assert (ROOT / "results" / "laptop" / ".dvcignore").read_text() == written


def write_left_out_of(experiment: str, folder: Path) -> str:
    write_left_out(resolve(load_experiment(ROOT / "config" / f"{experiment}.yaml"), ROOT), folder)
    return (folder / ".dvcignore").read_text()


@pytest.mark.parametrize("experiment", CONFIGS)
def test_every_stage_depends_on_what_is_planned(experiment: str, tmp_path: Path) -> None:
    """On all of it together: no stage of Snakemake that the experiment has is missing."""
    jobs = resolve(load_experiment(ROOT / "config" / f"{experiment}.yaml"), ROOT).jobs.values()
    expected = {job.recipe.stage for job in jobs}
    plan, *others = stages_in(pipeline_of(experiment, tmp_path, profile="slurm")).values()
    planned = f"results/{experiment}/planned.json"
    assert plan["always_changed"]
    assert outputs_of(plan) == [planned]
    keys = [key for stage in others for key in stage["params"][0][planned]]
    assert sorted(keys) == sorted(expected)
    for stage in others:  # those that it makes are those that it depends on
        made = {output.split("/")[2] for output in outputs_of(stage)} - {"summary"}
        assert made == set(stage["params"][0][planned])
        assert "--profile slurm" in str(stage["cmd"]) and "--cores" not in str(stage["cmd"])


def test_a_pipeline_has_the_stages_that_its_experiment_has(project: Project, tmp_path: Path) -> None:
    for section in ("pack", "train", "evaluate", "figures", "report"):
        del project.config[section]
    project.config["analyze"] = {"entropy": {"sources": ["prose", "digits"]}}
    project.config["experiment"] = "data-only"
    project.write_config()
    plan = resolve(load_experiment(project.folder / "config" / "laptop.yaml"), ROOT)
    with contextlib.chdir(tmp_path):
        stages = stages_in(write_pipeline(plan, Path("config/laptop.yaml"), None))
    assert list(stages) == ["plan", "data", "analyze", "report"]  # figures are drawn of what there is
    data, analyses = outputs_of(stages["data"])[-1], outputs_of(stages["analyze"])[-1]
    assert stages["analyze"]["deps"] == [data]
    assert stages["report"]["deps"] == [data, analyses]


def test_the_lock_says_what_every_stage_was_made_from() -> None:
    locked = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]
    stages = stages_in(ROOT / "dvc.yaml")
    assert locked.keys() == stages.keys()
    for name, stage in stages.items():
        expected = {path: sorted(keys) for item in stage.get("params", []) for path, keys in item.items()}
        assert {path: sorted(keys) for path, keys in locked[name].get("params", {}).items()} == expected
        assert [item["path"] for item in locked[name].get("deps", [])] == sorted(stage.get("deps", []))
        assert [item["path"] for item in locked[name]["outs"]] == sorted(outputs_of(stage))


def test_no_output_lies_inside_another() -> None:
    stages = stages_in(ROOT / "dvc.yaml").values()
    outputs = [output for stage in stages for output in outputs_of(stage)]
    for first in outputs:
        assert not any(other != first and other.startswith(first + "/") for other in outputs)
    for stage in stages:
        for item in [*stage.get("outs", []), *stage.get("metrics", [])]:
            assert next(iter(item.values()))["persist"] is True
