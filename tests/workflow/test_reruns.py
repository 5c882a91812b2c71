"""What runs again after which change: exactly what the change touches, decided by digests alone."""

import copy
import json
import os
import random
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from tests.workflow.project import Project
from unix_lib.config import load_experiment
from unix_lib.recipes.plan import STAGES
from unix_lib.recipes.resolve import resolve

BEHIND_ANY_CHECKPOINT = ["figures/scores_over_tokens", "report/summary"]


def test_a_first_run_makes_everything_once(finished_project: tuple[Project, list[str]]) -> None:
    project, made = finished_project
    assert len(made) == len(set(made))
    assert {name.split("/")[0] for name in made} == {
        "sources", "translate", "tokenizers", "encode", "tokenize", "pack", "train", "generate", "evaluate", "analyze",
        "figures", "report",
    }  # fmt: skip
    assert sum(name.startswith("train/") for name in made) == 7
    link = project.results / "current" / "train" / "unix-step-00010"
    assert (link / "manifest.json").is_file()


def test_a_second_run_makes_nothing(project: Project) -> None:
    assert project.run() == []


def test_a_semantic_key_of_one_run_makes_what_is_behind_it_again(project: Project) -> None:
    project.config["train"]["runs"]["unix"]["plan"]["last"] = 2
    steps = ["00000", "00010", "00030"]
    assert project.run() == sorted(
        [f"train/unix-step-{s}" for s in steps]
        + [f"generate/unix-step-{s}-{name}" for s in steps for name in ("cloze", "group-all")]
        + [f"evaluate/unix-step-{s}-all" for s in steps]
        + [f"analyze/conflict-unix-step-{s}" for s in steps[1:]]
        + BEHIND_ANY_CHECKPOINT
    )


def test_a_semantic_key_upstream_makes_the_whole_chain_behind_it_again(project: Project) -> None:
    project.config["tokenizers"]["image"]["steps"] = 7
    made = project.run()
    assert {"tokenizers/image", "encode/digits", "pack/mixed", "train/shared-step-00030"} <= set(made)
    assert not {"sources/digits-images", "tokenizers/text", "pack/text", "train/base-step-00030"} & set(made)


def test_numeric_and_operational_keys_run_nothing(project: Project) -> None:
    project.config["train"]["micro_batch"] = 2
    project.config["train"]["save_seconds"] = 5
    project.config["train"]["job"] = {"threads": 2, "memory_mb": 9000}
    project.config["encode"] = {"batch_size": 3}
    project.config["tokenizers"]["image"]["checkpoint_seconds"] = 3
    assert project.run() == []


def test_an_added_checkpoint_touches_no_other_checkpoint(project: Project) -> None:
    project.config["train"]["runs"]["unix"]["checkpoints"] = [0, 10, 20, 30]
    assert project.run() == sorted(
        [
            "train/unix-step-00020",
            "generate/unix-step-00020-cloze",
            "generate/unix-step-00020-group-all",
            "evaluate/unix-step-00020-all",
            "analyze/conflict-unix-step-00020",
            *BEHIND_ANY_CHECKPOINT,
        ]
    )


def test_an_added_run_touches_no_other_run(project: Project) -> None:
    project.config["train"]["runs"]["mot"] = {**project.config["train"]["runs"]["shared"], "plan": {"preset": "mot"}}
    made = project.run()
    assert [name for name in made if name.startswith("train/")] == [f"train/mot-step-000{s}0" for s in (0, 1, 3)]
    assert not [name for name in made if "shared" in name or "unix" in name]


def test_an_added_benchmark_touches_only_evaluations(project: Project) -> None:
    project.config["evaluate"]["benchmarks"]["arc"] = {"scorer": "lm_eval", "task": "arc_easy", "chance": 0.25}
    project.config["evaluate"]["groups"]["more"] = ["arc"]
    made = project.run()
    assert {name.split("/")[0] for name in made} == {"generate", "evaluate", "figures", "report"}
    assert all(name.endswith("-more") for name in made if name.startswith("evaluate/"))
    assert all(name.endswith(("-arc", "-more")) for name in made if name.startswith("generate/"))


def test_a_group_that_gains_a_benchmark_answers_only_that_one(project: Project) -> None:
    project.config["evaluate"]["benchmarks"]["arc"] = {"scorer": "lm_eval", "task": "arc_easy", "chance": 0.25}
    project.config["evaluate"]["groups"]["all"] = ["cloze", "arc"]
    made = project.run()
    assert not [name for name in made if name.endswith("-cloze")]
    assert len([name for name in made if name.endswith("-arc")]) == 6


def test_another_way_of_scoring_generates_nothing(project: Project) -> None:
    project.config["evaluate"]["bootstrap_samples"] = 300
    assert {name.split("/")[0] for name in project.run()} == {"evaluate", "figures", "report"}


def test_answers_that_vanished_are_made_again_by_their_group(project: Project) -> None:
    (lost,) = project.results.glob("generate/unix-step-00010-cloze-*/manifest.json")
    lost.unlink()
    assert project.run() == ["generate/unix-step-00010-cloze", "generate/unix-step-00010-group-all"]


def test_going_back_to_old_values_runs_nothing(project: Project) -> None:
    project.config["pack"]["seed"] = 1
    assert "pack/mixed" in project.run()
    project.config["pack"]["seed"] = 218
    assert project.run() == []


def test_a_fresh_clone_with_restored_results_runs_nothing(project: Project) -> None:
    shutil.rmtree(project.folder / ".snakemake")
    now = time.time()
    generator = random.Random(0)
    for path in project.folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            stamp = now - generator.uniform(0, 1e6)
            os.utime(path, (stamp, stamp))
    assert project.run() == []
    project.config["train"]["runs"]["unix"]["seed"] = 3
    made = project.run()
    assert "train/unix-step-00030" in made
    assert not [name for name in made if "shared" in name]


def test_a_missing_manifest_in_the_middle_is_noticed(project: Project) -> None:
    (lost,) = project.results.glob("encode/digits-*/manifest.json")
    lost.unlink()
    assert project.run() == ["encode/digits"]  # what was made of it is as it was


def test_targets_make_what_they_name_and_what_it_needs(project: Project) -> None:
    shutil.rmtree(project.folder / "results")
    conflict = project.config["analyze"]["conflict"]
    project.config["analyze"]["conflict-unix"] = {"kind": "conflict", **conflict, "runs": ["unix"]}
    made = project.run("figure_conditional_entropy")
    assert {name.split("/")[0] for name in made} == {"sources", "tokenizers", "encode", "analyze", "figures"}
    assert len(made) == 8
    base = ["pack/text", "tokenize/prose", "tokenizers/vocabulary", "train/base-step-00030"]
    assert project.run("run_base") == base
    made = project.run("analysis_conflict")
    assert {name.partition("-")[0] for name in made} - {"tokenize/digits", "tokenize/shapes"} == {
        "pack/mixed", "train/shared", "train/unix", "analyze/conflict",
    }  # fmt: skip
    assert not [name for name in made if name.startswith("analyze/conflict-unix-unix-")]  # the other analysis's
    assert {name.rpartition("-step-")[0] for name in project.run("analysis_conflict-unix")} == {
        "analyze/conflict-unix-unix"
    }


@pytest.mark.slow
def test_editing_rules_or_scripts_runs_nothing(project: Project) -> None:
    edits = {"train": ("Training", "Now training"), "common": ("launcher}{PYTHON:q}", "launcher} {PYTHON:q}")}
    for name, (old, new) in edits.items():
        rules = project.folder / "rules" / f"{name}.smk"
        assert old in rules.read_text()
        rules.write_text(rules.read_text().replace(old, new))
    script = project.folder / "scripts" / "train.py"
    script.write_text(script.read_text() + "\n# edited\n")
    assert project.run() == []


def test_an_edit_during_a_run_waits_for_the_next_run(project: Project) -> None:
    project.config["train"]["runs"]["unix"]["seed"] = 5
    project.write_config()
    process = subprocess.Popen(
        project.command("--cores", "1", "--quiet", "all", "--", "all"),
        cwd=project.folder,
        env=project.environment(FAKE_SECONDS="0.5"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not (project.folder / "made.txt").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    project.config["train"]["runs"]["unix"]["seed"] = 6
    project.write_config()
    assert process.wait(timeout=120) == 0
    project.made()

    seeds = set()
    for manifest in (project.results / "current" / "train").glob("unix-*/manifest.json"):
        folder = manifest.parent.resolve()
        recipe = json.loads((project.results / "recipes" / "train" / f"{folder.name}.json").read_text())
        seeds.add(recipe["settings"]["seed"])
    assert seeds == {5}
    made = project.run()
    assert "train/unix-step-00010" in made
    assert not [name for name in made if "shared" in name]


def test_a_failed_job_leaves_what_others_made(project: Project) -> None:
    project.config["pack"]["seed"] = 9
    project.write_config()
    failed = project.snakemake("--cores", "2", "--keep-going", "all", check=False, FAKE_FAILURE="unix-step-00010")
    assert failed.returncode != 0
    assert "UserError: unix-step-00010 was told to fail" in failed.stderr
    assert "train/shared-step-00030" in project.made()
    made = project.run()
    assert "train/unix-step-00010" in made
    assert "train/shared-step-00030" not in made


def test_a_nested_run_reads_recipes_and_never_the_config(project: Project) -> None:
    (target,) = project.results.glob("train/unix-step-00010-*/manifest.json")
    target.unlink()
    (project.folder / "config" / "laptop.yaml").write_text("not: [a config")
    mark = f"results/tiny/made/train/{target.parent.name}"
    (project.folder / mark).unlink()
    project.snakemake("--cores", "1", "--mode", "subprocess", "--nolock", mark)
    assert project.made() == ["train/unix-step-00010"]


def test_the_workflow_reads_a_config_as_the_commands_do(project: Project, tmp_path: Path) -> None:
    """What `extends` names stands beside the file, wherever that is; --config counts as the file's own."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    smoke = {**copy.deepcopy(project.config), "experiment": "theirs"}
    smoke["pack"]["seed"] = 1
    (elsewhere / "smoke.yaml").write_text(yaml.safe_dump(smoke))  # config/ has one too
    mine = elsewhere / "mine.yaml"
    mine.write_text(yaml.safe_dump({"extends": "smoke.yaml", "experiment": "mine"}))

    def planned(*arguments: str) -> set[str]:
        shown = project.snakemake("--cores", "1", "--dry-run", *arguments)
        shown = re.findall(r"results/(\S+)/made/([\w./-]+)", shown.stdout + shown.stderr)
        return {f"{experiment}/{artefact}" for experiment, artefact in shown}

    expected = {f"mine/{artefact}" for artefact in resolve(load_experiment(mine), project.folder).targets(*STAGES)}
    assert planned("--configfile", str(mine), "--", "all") == expected
    assert planned("all", "--configfile", str(mine), "--config", "experiment=other") == {
        name.replace("mine/", "other/", 1) for name in expected
    }
    project.write_config()
    assert planned("all", "--config", "experiment=other") == {
        f"other/{artefact}"
        for artefact in resolve(load_experiment(project.folder / "config" / "laptop.yaml"), project.folder).targets(
            *STAGES
        )
    }


def test_what_is_not_pinned_is_refused_with_the_remedy(project: Project) -> None:
    """As the shipped configs are until somebody pins them."""
    shown = project.snakemake("--dry-run", "--configfile", "config/ablation-1.5b.yaml", "--", "all", check=False)
    assert shown.returncode != 0 and "Traceback" not in shown.stdout + shown.stderr
    assert "ablation-1.5b: not pinned to a commit: dataset HuggingFaceFW/fineweb-edu" in shown.stdout + shown.stderr
    assert "`unix-lib fetch config/ablation-1.5b.yaml --pin`" in shown.stdout + shown.stderr
    assert not (project.folder / "results" / "ablation-1.5b").exists()


def test_an_empty_config_is_refused_by_the_name_of_its_file(project: Project) -> None:
    path = project.folder / "config" / "empty.yaml"
    path.write_text("{}")
    finished = project.snakemake("--cores", "1", "--dry-run", "--configfile", str(path), "--", "all", check=False)
    assert finished.returncode != 0
    assert f"{path}: experiment: Field required" in finished.stdout + finished.stderr
    assert "Traceback" not in finished.stdout + finished.stderr


def test_a_run_says_first_what_must_be_known_before_it_starts(project: Project) -> None:
    shutil.rmtree(project.results / "report")
    shown = project.snakemake("--cores", "1", "--", "all").stderr
    told, started = shown.index("the prose is the reference of Python"), shown.index("Execute")
    assert told < started


def test_identical_recipes_make_identical_artefacts(project: Project, tmp_path: Path) -> None:
    other = project.copy_to(tmp_path / "other")
    shutil.rmtree(other.folder / "results")
    other.run()
    for manifest in project.results.glob("*/*/manifest.json"):
        twin = other.results / manifest.relative_to(project.results)
        first, second = (json.loads(path.read_text()) for path in (manifest, twin))
        assert first["content_digest"] == second["content_digest"]


def test_a_second_experiment_with_the_same_sources_makes_nothing_of_them_again(project: Project) -> None:
    project.config["experiment"] = "second"
    project.config["train"]["runs"]["unix"]["plan"]["last"] = 2
    before = {path: path.stat().st_mtime_ns for path in project.results.rglob("*") if path.is_file()}
    damaged = next(project.results.glob("sources/prose-*/made.txt"))
    damaged.write_text("other")
    project.write_config()
    dry = project.snakemake("--cores", "1", "-n", "--", "all")
    assert "are in stores, and would be linked" in dry.stdout + dry.stderr
    assert not (project.folder / "results" / "second" / "sources").exists()
    made = project.run()
    assert "sources/prose" in made and "train/unix-step-00030" in made and "report/summary" in made
    assert not {"sources/digits-images", "encode/digits", "train/base-step-00030", "train/shared-step-00030"} & set(
        made
    )
    assert {path: path.stat().st_mtime_ns for path in before if path != damaged} | {damaged: before[damaged]} == before
    assert project.run() == []
