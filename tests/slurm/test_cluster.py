"""The workflow on a real SLURM: jobs get what they ask for, batches and two nodes too; what can't run is refused."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.slurm.training import LONG, PROFILE, Training, slurm_job
from tests.workflow.project import Project, fake_project
from unix_lib.artefacts.manifest import read_manifest
from unix_lib.artefacts.verify import verify

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.usefixtures("cluster")]


def test_every_artefact_is_made_once_by_a_job_of_the_shape_that_the_config_asks_for(tmp_path: Path) -> None:
    project = fake_project(tmp_path / "clone")
    runs = project.config["train"]["runs"]
    del runs["shared"]
    runs["unix"]["checkpoints"] = [30]
    project.config["train"]["job"] = {"gpus": 2, "memory_mb": 3000, "runtime_minutes": 90}
    project.config["encode"] = {"job": {"memory_mb": 5000, "runtime_minutes": 30}}
    project.write_config()
    (project.folder / "site.yaml").write_text(
        "partition: spare\nstages: {train: {partition: test}, figures: {batch: 9}}"
    )
    project.snakemake(*PROFILE, "--", "all")
    made = project.made()
    found = verify(project.results)
    assert found.faults == []
    assert found.artefacts == len(made) == len(set(made))
    assert {name.split("/")[0] for name in made} >= {"sources", "encode", "train", "evaluate", "report"}
    for manifest in project.results.glob("*/*/manifest.json"):
        if manifest.parent.parent.name != "current":
            assert read_manifest(manifest.parent).provenance["slurm_job"] is not None
    training = slurm_job("segment_wildcards_tiny_train_unix-step-00030")
    encoding = slurm_job("encoding_wildcards_tiny_encode_digits")
    assert training["JobState"] == encoding["JobState"] == "COMPLETED"
    assert training["TresPerJob"] == "gres:gpu:2"
    assert (training["MinMemoryNode"], training["TimeLimit"]) == ("3000M", "01:30:00")
    figures = slurm_job("Comment=rule_figures-")
    drawn = [read_manifest(path.parent) for path in project.results.glob("figures/*/manifest.json")]
    assert [manifest.provenance["slurm_job"] for manifest in drawn] == [figures["JobId"]] * 2
    assert (figures["TimeLimit"], figures["NumCPUs"], figures["MinMemoryNode"]) == ("01:00:00", "1", "4000M")
    assert "TresPerJob" not in encoding
    assert (encoding["MinMemoryNode"], encoding["TimeLimit"]) == ("5000M", "00:30:00")
    assert "Nothing to be done" in project.snakemake(*PROFILE, "--", "all").stderr


def test_what_no_node_can_take_is_refused_before_anything_is_submitted(tmp_path: Path) -> None:
    project = fake_project(tmp_path / "clone")
    project.config["train"]["job"] = {"gpus": 3, "runtime_minutes": 2000}
    for run in project.config["train"]["runs"].values():
        run["optimization"]["packs_per_step"] = 3
    project.write_config()
    (project.folder / "site.yaml").write_text("stages: {train: {partition: spare}}")
    before = subprocess.run(["squeue", "--states=all", "-h"], capture_output=True, text=True, check=True).stdout
    refused = project.snakemake(*PROFILE, "--", "all", check=False)
    assert refused.returncode == 1
    assert "gpus: 3 is more than partition 'spare' gives, 2" in refused.stderr
    assert "runtime_minutes: 2000 is more than partition 'spare' gives, 1440" in refused.stderr
    (project.folder / "site.yaml").write_text("constraint: fast")
    refused = project.snakemake(*PROFILE, "--", "data", check=False)
    assert "sources: sbatch says: allocation failure: Invalid feature specification" in refused.stderr
    (project.folder / "site.yaml").write_text("partition: gone")
    assert "no partition 'gone' here; set one of lost, spare, test in site.yaml" in doctor(project)
    assert subprocess.run(["squeue", "--states=all", "-h"], capture_output=True, text=True, check=True).stdout == before


def doctor(project: Project) -> str:
    command = [sys.executable, "-m", "unix_lib", "doctor", "config/laptop.yaml"]
    environment = project.environment()
    shown = subprocess.run(command, cwd=project.folder, env=environment, capture_output=True, text=True, check=False)
    return shown.stdout


def test_two_nodes_train_one_model(training: Training) -> None:
    base = {**LONG["train"]["runs"]["base"], "optimization": {"total_steps": 6, "packs_per_step": 2}}
    runs = {**LONG["train"]["runs"], "base": {**base, "checkpoints": [6]}}
    training.write(job={"nodes": 2}, runs=runs)
    training.snakemake(*PROFILE)
    folder = next(training.results.glob("train/base-step-00006-*"))
    assert read_manifest(folder).provenance["metrics"]["world_size"] == 2
    assert pd.read_parquet(folder / "log.parquet")["step"].tolist()[-1] == 6
    assert slurm_job("segment_wildcards_long_train_base-step-00006")["NumNodes"] == "2"
