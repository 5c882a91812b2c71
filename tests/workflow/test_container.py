"""The container's recipe, as far as it can be held to the project without building it."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RECIPE = (ROOT / "envs" / "Dockerfile").read_text()
KEPT = [line[1:] for line in (ROOT / "envs" / "Dockerfile.dockerignore").read_text().split() if line.startswith("!")]


def test_every_instruction_is_one_of_dockers_and_every_make_target_ours() -> None:
    lines = [line for line in RECIPE.splitlines() if line and not line.startswith("#")]
    assert {line.split()[0] for line in lines} <= {"FROM", "RUN", "WORKDIR", "COPY", "ENTRYPOINT", "CMD"}
    assert lines[0].startswith("FROM ")
    version = re.search(r"python:3\.(\d+)", lines[0])
    assert version is not None and int(version[1]) >= 11
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = set(re.findall(r"make ([a-z]+)(?= |$)", "\n".join(lines[2:]), re.MULTILINE))
    assert "setup" in called <= targets
    assert "help" in targets


def test_what_a_run_reads_goes_into_the_image() -> None:
    assert all((ROOT / name).exists() for name in KEPT)
    ready = re.search(r"^\$\(VENV\)/\.ready: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert ready is not None
    assert {path.split("/")[0] for path in ready[1].split()} <= set(KEPT)  # what the set-up is made from
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    not_read = {
        "tests",
        "docs",
        "results",
        "data",
        "pipelines",
        "dvc.yaml",
        "dvc.lock",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
    }
    assert {path.split("/")[0] for path in tracked if not path.startswith(".")} <= {*KEPT, *not_read}
