"""A copy of the project with fake scripts and a small config, on which the real DAG runs in seconds."""

import copy
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from tests.workflow.small_config import CONFIG
from unix_lib.recipes.plan import STAGES

ROOT = Path(__file__).resolve().parents[2]


class Project:
    """A project folder: edit its config, run Snakemake in it, ask what was made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = copy.deepcopy(CONFIG)
        self.results = folder / "results" / "tiny"

    def write_config(self) -> None:
        (self.folder / "config" / "laptop.yaml").write_text(yaml.safe_dump(self.config, sort_keys=False))

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "snakemake", *arguments]

    def environment(self, **variables: str) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.folder), **variables}

    def snakemake(self, *arguments: str, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
        finished = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(**variables),
            capture_output=True,
            text=True,
            check=False,
        )
        if check:
            assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished

    def run(self, *targets: str, **variables: str) -> list[str]:
        """Write the config, run to the targets; returns what was made, as sorted stage/name."""
        self.write_config()
        self.made()
        self.snakemake("--cores", "4", "--quiet", "all", "--", *(targets or ("all",)), **variables)
        return self.made()

    def made(self) -> list[str]:
        """What was made since the last call."""
        path = self.folder / "made.txt"
        lines = sorted(path.read_text().split()) if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def copy_to(self, folder: Path) -> "Project":
        shutil.copytree(self.folder, folder, symlinks=True)
        project = Project(folder)
        project.config = copy.deepcopy(self.config)
        return project


def fake_project(folder: Path) -> Project:
    """A new project whose scripts are fake."""
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("workflow", "rules", "unix_lib", "config"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore, symlinks=True)
    (folder / "slurm").symlink_to("workflow/profiles/slurm")
    (folder / "scripts").mkdir()
    for stage in STAGES:
        shutil.copy(Path(__file__).with_name("fake_script.py"), folder / "scripts" / f"{stage}.py")
    return Project(folder)
