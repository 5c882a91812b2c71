"""A copy of the project with real scripts and finished data, which trains through SLURM and is disturbed on the way."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from tests.workflow.project import Project
from unix_lib.artefacts.manifest import Manifest, read_manifest

# The short first wait only saves the test's time.
PROFILE = ("--profile", "slurm", "--slurm-init-seconds-before-status-checks", "2")
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
    """What SLURM still knows of the one job whose description, as by its rule and wildcards, contains a part."""
    shown = subprocess.run(["scontrol", "-o", "show", "jobs"], capture_output=True, text=True, check=True)
    (line,) = [line for line in shown.stdout.splitlines() if part in line]
    return dict(item.split("=", 1) for item in line.split() if "=" in item)


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

    def submit(self, *more: str) -> subprocess.Popen[str]:
        with (self.project.folder / "snakemake.log").open("w") as log:
            return subprocess.Popen(
                self.project.command(*PROFILE, *more, "--configfile", "config/long.yaml", "--", "train"),
                cwd=self.project.folder,
                env=self.project.environment(),
                stdout=log,
                stderr=log,
                text=True,
            )

    def log(self) -> str:
        """What the driver printed."""
        return (self.project.folder / "snakemake.log").read_text()

    def said(self) -> str:
        """What the trainers of all attempts printed."""
        return "".join(path.read_text() for path in self.results.glob("logs/train/*.log"))

    def work(self) -> Path:
        return next(self.results.glob("work/train/base-*"))

    def checkpoint(self) -> tuple[Path, Manifest]:
        folder = next(self.results.glob(f"train/base-step-{STEPS:05d}-*"))
        return folder, read_manifest(folder)


def job_with_a_save(training: Training, running: subprocess.Popen[str]) -> str:
    """Wait until a training job has a save behind it; returns its SLURM id."""
    while running.poll() is None:
        for lock in training.results.glob("work/train/base-*.lock"):
            if list(lock.with_suffix("").glob("step-*/hashes.json")):
                return str(json.loads(lock.read_text())["slurm_job"])
        time.sleep(0.1)
    raise AssertionError(training.log())


def until(happens: Callable[[], bool], running: subprocess.Popen[str]) -> None:
    while not happens():
        assert running.poll() is None
        time.sleep(0.1)
