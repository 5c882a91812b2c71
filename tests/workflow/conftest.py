"""A copy of the project with fake scripts and a small config, on which the real DAG runs in seconds."""

import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("sources", "tokenizers", "encode", "pack", "train", "evaluate", "analyze", "figures", "report")

VQGAN = {"codebook_size": 16, "image_size": 32, "embedding_width": 8, "latent_width": 8, "base_channels": 32}
RUN = {
    "plan": {"preset": "shared"},
    "start": {"kind": "run", "run": "base"},
    "mixture": "mixed",
    "optimization": {"total_steps": 30},
    "checkpoints": [0, 10, 30],
}
_CONFIG = {
    "experiment": "tiny",
    "sources": {"digits": {"kind": "digits"}, "prose": {"kind": "text"}},
    "tokenizers": {
        "text": {"kind": "train_bpe", "sources": ["prose"]},
        "image": {"kind": "train_vqgan", "shape": {**VQGAN, "channel_multipliers": [1, 2, 2]}, "sources": ["digits"]},
    },
    "pack": {
        "length": 128,
        "mixtures": {
            "text": {"parts": [{"source": "prose"}]},
            "mixed": {"parts": [{"source": "digits"}, {"source": "prose"}]},
        },
    },
    "train": {
        "runs": {
            "base": {
                **RUN,
                "start": {"kind": "fresh", "shape": {"layers": 4}},
                "mixture": "text",
                "checkpoints": [30],
                "compare": False,
            },
            "shared": RUN,
            "unix": {**RUN, "plan": {"preset": "unix", "first": 1, "last": 1}},
        }
    },
    "evaluate": {
        "groups": {"all": ["cloze"]},
        "benchmarks": {"cloze": {"scorer": "lm_eval", "source": "prose", "chance": 0.25}},
    },
    "analyze": {"conflict": {"mixture": "mixed"}, "entropy": {"sources": ["prose", "digits"]}},
    "figures": {"names": ["conditional_entropy", "scores_over_tokens"]},
    "report": {"title": "Tiny", "scale": "fake"},
}
# Through JSON, so that two runs share no dictionary and a test may change one of them.
CONFIG: dict[str, Any] = json.loads(json.dumps(_CONFIG))


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


@pytest.fixture(scope="session")
def finished_project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, list[str]]:
    """A project that ran once from nothing, and what that made. Copy it before changing it."""
    project = fake_project(tmp_path_factory.mktemp("project") / "clone")
    return project, project.run()


@pytest.fixture
def project(finished_project: tuple[Project, list[str]], tmp_path: Path) -> Project:
    """A finished project of the test's own."""
    return finished_project[0].copy_to(tmp_path / "clone")
