"""The workflow on a real SLURM: jobs get what they ask for; killed, blocked and two-node training comes right."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.slurm.conftest import PROFILE
from tests.workflow.project import ROOT, Project, fake_project
from unix_lib.artefacts.manifest import Manifest, read_manifest
from unix_lib.artefacts.verify import verify
from unix_lib.jobs.job import lock_path
from unix_lib.jobs.lock import Lock

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.usefixtures("cluster")]

STEPS = 300
LONG = {
    "extends": "smoke.yaml",
    "experiment": "long",
    "analyze": {"conflict": {"runs": ["base"], "steps": []}},
    "train": {
        "save_seconds": 1,
        "runs": {
            "base": {"optimization": {"total_steps": STEPS}, "checkpoints": [STEPS], "keep_best_every": None},
            "shared": None,
            "unix": None,
        },
    },
}


def slurm_job(part: str) -> dict[str, str]:
    """What SLURM still knows of the one job whose comment, its rule and wildcards, contains a part."""
    shown = subprocess.run(["scontrol", "-o", "show", "jobs"], capture_output=True, text=True, check=True)
    (line,) = [line for line in shown.stdout.splitlines() if part in line]
    return dict(item.split("=", 1) for item in line.split() if "=" in item)


def test_every_artefact_is_made_once_by_a_job_of_the_shape_that_the_config_asks_for(tmp_path: Path) -> None:
    project = fake_project(tmp_path / "clone")
    runs = project.config["train"]["runs"]
    del runs["shared"]
    runs["unix"]["checkpoints"] = [30]
    project.config["train"]["job"] = {"gpus": 2, "memory_mb": 3000, "runtime_minutes": 90}
    project.config["encode"] = {"job": {"memory_mb": 5000, "runtime_minutes": 30}}
    project.write_config()
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
    assert "TresPerJob" not in encoding
    assert (encoding["MinMemoryNode"], encoding["TimeLimit"]) == ("5000M", "00:30:00")
    assert "Nothing to be done" in project.snakemake(*PROFILE, "--", "all").stderr


def test_doctor_sees_that_the_profile_must_ask_squeue_on_a_cluster_without_accounting(tmp_path: Path) -> None:
    project = fake_project(tmp_path / "clone")
    profile = project.folder / "slurm" / "config.yaml"

    def job_states() -> str:
        finished = subprocess.run(
            [sys.executable, "-m", "unix_lib", "doctor", "config/smoke.yaml"],
            cwd=project.folder,
            env=project.environment(COLUMNS="200"),
            capture_output=True,
            text=True,
            check=True,
        )
        return next(line for line in finished.stdout.splitlines() if "SLURM job states" in line)

    assert "absent" in job_states() and "slurm-status-command" in job_states()
    profile.write_text(profile.read_text().replace("# slurm-status", "slurm-status").replace("# slurm-no", "slurm-no"))
    assert "ok" in job_states() and "squeue" in job_states()


class Training:
    """A copy of the project with real scripts and finished data; trains through SLURM."""

    def __init__(self, folder: Path) -> None:
        self.project = Project(folder)
        self.results = folder / "results" / "long"

    def write(self, **train: object) -> None:
        config = {**LONG, "train": {**LONG["train"], **train}}
        (self.project.folder / "config" / "long.yaml").write_text(yaml.safe_dump(config))

    def snakemake(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.project.snakemake(*arguments, "--configfile", "config/long.yaml", "--", "train", check=check)

    def submit(self) -> subprocess.Popen[str]:
        with (self.project.folder / "snakemake.log").open("w") as log:
            return subprocess.Popen(
                self.project.command(*PROFILE, "--configfile", "config/long.yaml", "--", "train"),
                cwd=self.project.folder,
                env=self.project.environment(),
                stdout=log,
                stderr=log,
                text=True,
            )

    def said(self) -> str:
        """What the trainers of all attempts printed."""
        return "".join(path.read_text() for path in self.results.glob("logs/train/*.log"))

    def work(self) -> Path:
        return next(self.results.glob("work/train/base-*"))

    def checkpoint(self) -> tuple[Path, Manifest]:
        folder = next(self.results.glob(f"train/base-step-{STEPS:05d}-*"))
        return folder, read_manifest(folder)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training") / "clone"
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("workflow", "rules", "scripts", "unix_lib", "config"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore, symlinks=True)
    (folder / "slurm").symlink_to("workflow/profiles/slurm")
    training = Training(folder)
    training.write()
    training.project.snakemake("--cores", "2", "--configfile", "config/long.yaml", "--", "data")
    return folder


@pytest.fixture
def training(prepared: Path, tmp_path: Path) -> Training:
    shutil.copytree(prepared, tmp_path / "clone", symlinks=True)
    return Training(tmp_path / "clone")


@pytest.mark.parametrize("signal", ["TERM", "KILL"])
def test_a_job_that_scancel_ends_midway_is_submitted_again_and_continues(training: Training, signal: str) -> None:
    running = training.submit()
    try:
        first = job_with_a_save(training, running)
        kill = ["--signal=KILL", "--full"] if signal == "KILL" else []
        subprocess.run(["scancel", *kill, first], check=True)
        assert running.wait() == 0, (training.project.folder / "snakemake.log").read_text()
    finally:
        running.kill()
    folder, manifest = training.checkpoint()
    assert manifest.provenance["slurm_job"] not in (None, first)
    assert "base continues at step " in training.said()
    assert pd.read_parquet(folder / "log.parquet")["step"].is_monotonic_increasing
    assert manifest.facts["step"] == STEPS
    assert verify(training.results).faults == []
    assert not list(training.results.glob("work/train/*/step-*"))


def job_with_a_save(training: Training, running: subprocess.Popen[str]) -> str:
    """Wait until a training job has a save behind it; returns its SLURM id."""
    while running.poll() is None:
        for lock in training.results.glob("work/train/base-*.lock"):
            if list(lock.with_suffix("").glob("step-*/hashes.json")):
                return str(json.loads(lock.read_text())["slurm_job"])
        time.sleep(0.1)
    raise AssertionError((training.project.folder / "snakemake.log").read_text())


def test_a_job_that_meets_a_live_writer_waits_for_it(training: Training) -> None:
    planned = next(training.results.glob("recipes/train/base-*[0-9a-f].json"))
    settings = json.loads(planned.read_text())["settings"]
    work = training.results / "work" / "train" / f"base-{settings['run_digest'][:12]}"
    with Lock(lock_path(work)) as lock:
        running = training.submit()
        until(lambda: f"process {lock.holder.pid} on" in training.said(), running)
        assert not work.exists()
        lock.check()  # still ours
    assert running.wait() == 0
    assert training.checkpoint()[1].facts["step"] == STEPS


def test_a_job_whose_driver_was_killed_is_not_done_twice(training: Training) -> None:
    first = training.submit()
    job = job_with_a_save(training, first)
    first.kill()
    first.wait()
    training.snakemake(*PROFILE)
    assert training.checkpoint()[1].provenance["slurm_job"] == job
    assert "made before, and whole" in training.said()
    assert "continues at step" not in training.said()


def until(happens: Callable[[], bool], running: subprocess.Popen[str]) -> None:
    while not happens():
        assert running.poll() is None
        time.sleep(0.1)


def test_two_nodes_train_one_model(training: Training) -> None:
    base = {**LONG["train"]["runs"]["base"], "optimization": {"total_steps": 6, "packs_per_step": 2}}
    runs = {**LONG["train"]["runs"], "base": {**base, "checkpoints": [6]}}
    training.write(job={"nodes": 2}, runs=runs)
    training.snakemake(*PROFILE)
    folder = next(training.results.glob("train/base-step-00006-*"))
    assert read_manifest(folder).provenance["metrics"]["world_size"] == 2
    assert pd.read_parquet(folder / "log.parquet")["step"].tolist()[-1] == 6
    assert slurm_job("segment_wildcards_long_train_base-step-00006")["NumNodes"] == "2"
