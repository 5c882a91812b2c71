"""What the SLURM profile asks of a cluster, checked on the plugin's own functions and profile reading."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from snakemake_executor_plugin_slurm.submit_string import get_submit_command
from snakemake_executor_plugin_slurm.utils import set_gres_string

from tests.workflow.project import Project

ROOT = Path(__file__).resolve().parents[2]


def resources_of(project: Project, name: str) -> dict[str, Any]:
    """Resources that the DAG gives a job, printed by Snakemake itself on a dry run.

    A rule with a message prints nothing else, so the copy's rules lose theirs.
    """
    rules = project.folder / "rules" / "train.smk"
    rules.write_text(re.sub(r"    message:\n.*\n", "", rules.read_text()))
    shown = project.snakemake("--profile", "slurm", "-n", "--", "train").stdout
    block = next(block for block in shown.split("\n\n") if f"output: results/tiny/made/train/{name}-" in block)
    line = next(line for line in block.splitlines() if line.strip().startswith("resources:"))
    pairs = (item.split("=", 1) for item in line.split("resources:")[1].split(", ") if "=" in item)
    return {key.strip(): int(value) if value.strip().isdigit() else value.strip() for key, value in pairs}


def submit_line(resources: dict[str, Any]) -> str:
    job = SimpleNamespace(resources=SimpleNamespace(**resources, get=resources.get), threads=resources.get("_cores", 4))
    parameters = {
        "run_uuid": "run",
        "slurm_logfile": "log",
        "comment_str": "rule_segment",
        "account": "-A 'lab'",
        "partition": "-p 'gpu'",
        "workdir": ".",
    }
    return get_submit_command(job, parameters) + set_gres_string(job)


@pytest.fixture
def fresh(project: Project) -> Project:
    """The project with another seed, so that training is due."""
    project.config["train"]["runs"]["unix"]["seed"] = 11
    return project


def test_the_root_link_finds_the_profile() -> None:
    assert (ROOT / "slurm" / "config.yaml").samefile(ROOT / "workflow" / "profiles" / "slurm" / "config.yaml")
    profile = yaml.safe_load((ROOT / "slurm" / "config.yaml").read_text())
    assert profile["executor"] == "slurm"
    assert profile["retries"] >= 1


def test_retries_live_only_in_the_profile() -> None:
    for path in [ROOT / "workflow" / "Snakefile", *(ROOT / "rules").glob("*.smk")]:
        assert "retries:" not in path.read_text(), path


def test_without_slurm_nothing_is_submitted(fresh: Project) -> None:
    fresh.write_config()
    tools = fresh.folder / "tools"
    tools.mkdir()
    for name in ("bash", "which"):  # what Snakemake itself asks for
        (tools / name).symlink_to(str(shutil.which(name)))
    finished = fresh.snakemake("--profile", "slurm", "--", "train", check=False, PATH=str(tools))
    said = finished.stdout + finished.stderr
    assert finished.returncode == 1
    assert "there is no sbatch" in said
    assert "Error in rule" not in said and "restart" not in said
    assert not list(fresh.folder.glob(".snakemake/locks/*"))


def test_a_cpu_job_asks_for_its_memory_and_time(fresh: Project) -> None:
    fresh.config["train"]["job"] = {"threads": 2, "memory_mb": 7000, "runtime_minutes": 90}
    fresh.write_config()
    line = submit_line(resources_of(fresh, "unix-step-00010"))
    assert "--mem 7000" in line
    assert "-t 90" in line
    assert "--gpus" not in line and "--gres" not in line
    assert "--ntasks=1" in line


def test_one_node_asks_for_gpus(fresh: Project) -> None:
    fresh.config["train"]["job"] = {"threads": 16, "gpus": 8}
    for run in fresh.config["train"]["runs"].values():
        run["optimization"]["packs_per_step"] = 8
    fresh.write_config()
    line = submit_line(resources_of(fresh, "unix-step-00010"))
    assert "--gpus=8" in line
    assert "--gres" not in line


def test_several_nodes_ask_for_one_launcher_each(fresh: Project) -> None:
    fresh.config["train"]["job"] = {"threads": 16, "gpus": 8, "nodes": 7}
    for run in fresh.config["train"]["runs"].values():
        run["optimization"]["packs_per_step"] = 56
    fresh.write_config()
    resources = resources_of(fresh, "unix-step-00010")
    assert resources["mpi"] == "srun"
    line = submit_line(resources)
    assert "--nodes=7" in line
    assert "--ntasks=7" in line
    assert "--gres=gpu:8" in line
    assert "--gpus=" not in line
    assert "--ntasks-per-gpu" not in line
