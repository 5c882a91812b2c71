"""A project with fake scripts as a git and DVC repository."""

import re
import shutil
import subprocess
import sys

from tests.workflow.project import ROOT, Project


def make_repository(project: Project) -> None:
    """Give a project DVC, git, and the programs that its pipelines call."""
    for name in (".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, project.folder / name)
    shutil.copytree(ROOT / ".dvc", project.folder / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
    (project.folder / ".venv" / "bin").mkdir(parents=True)
    for name, module in (("snakemake", "-m snakemake "), ("unix-lib", "-m unix_lib ")):
        program = project.folder / ".venv" / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {module}"$@"\n')
        program.chmod(0o755)
    subprocess.run(["git", "init", "--quiet"], cwd=project.folder, check=True)


def unix_lib(project: Project, *arguments: str, status: int = 0) -> str:
    """What a command says."""
    return _said(project, [".venv/bin/unix-lib", *arguments], status)


def dvc(project: Project, *arguments: str) -> str:
    """What DVC says."""
    return _said(project, [sys.executable, "-m", "dvc", *arguments], 0)


def reproduced(shown: str) -> list[str]:
    """Stages that a `dvc repro` ran."""
    return re.findall(r"Running stage '(?:\S+:)?(\w+)'", shown)


def _said(project: Project, command: list[str], status: int) -> str:
    environment = project.environment(COLUMNS="300")
    finished = subprocess.run(command, cwd=project.folder, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == status, finished.stdout + finished.stderr
    return finished.stdout + finished.stderr * bool(status)
