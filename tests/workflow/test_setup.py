"""`make setup`: what it sets up once, and what it mends; the packages and pip are left out."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = f"""#!/bin/sh
[ "$2" != venv ] || {{ shift 2; set -- -m venv --without-pip "$@"; }}
exec {sys.executable} "$@"
"""
# Notes that it ran, and makes the environment find the project, as the real one does last.
INSTALL = """#!/bin/sh
echo ran >> installed.txt
[ ! -e fail.txt ] || { touch .venv/half-made; exit 1; }
pwd > "$("$1" -c 'import site; print(site.getsitepackages()[0])')/project.pth"
"""


class Clone:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def setup(self, *, fails: bool = False) -> str:
        run = subprocess.run(
            ["make", "setup", "PYTHON=../python"], cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert (run.returncode != 0) == fails, run.stdout + run.stderr
        return run.stdout

    @property
    def installed(self) -> int:
        """How often packages were installed."""
        return len((self.folder / "installed.txt").read_text().split())

    def finds_itself(self) -> bool:
        code = "import unix_lib; print(unix_lib.__file__)"
        python = self.folder / ".venv" / "bin" / "python"
        shown = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
        return Path(shown.stdout.strip()).is_relative_to(self.folder)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    folder = tmp_path / "clone"
    for name in ("Makefile", "envs/core.txt", "pyproject.toml", "unix_lib/__init__.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for script, text in ((tmp_path / "python", PYTHON), (folder / "envs" / "install.sh", INSTALL)):
        script.write_text(text)
        script.chmod(0o755)
    made = Clone(folder)
    made.setup()
    assert made.installed == 1 and made.finds_itself()
    return made


def lose_interpreter(clone: Clone) -> Clone:
    for path in (clone.folder / ".venv" / "bin").glob("python*"):
        path.unlink()
        path.symlink_to("/nowhere/python3")
    return clone


def change_version(clone: Clone) -> Clone:
    (library,) = (clone.folder / ".venv" / "lib").glob("python3*")
    library.rename(library.with_name("python3.0"))
    return clone


def move(clone: Clone) -> Clone:
    return Clone(clone.folder.rename(clone.folder.with_name("moved")))


def test_it_is_set_up_once(clone: Clone) -> None:
    clone.setup()
    assert clone.installed == 1


@pytest.mark.parametrize("damage", [lose_interpreter, change_version, move])
def test_an_environment_that_does_not_work_is_set_up_anew(clone: Clone, damage: Callable[[Clone], Clone]) -> None:
    damaged = damage(clone)
    assert "does not work any more" in damaged.setup()
    assert damaged.installed == 2 and damaged.finds_itself()
    damaged.setup()
    assert damaged.installed == 2


def test_a_set_up_that_was_killed_begins_at_the_beginning(clone: Clone) -> None:
    (clone.folder / "fail.txt").touch()
    (clone.folder / "envs" / "core.txt").touch()
    clone.setup(fails=True)
    half_made = clone.folder / ".venv" / "half-made"
    assert half_made.exists()
    (clone.folder / "fail.txt").unlink()
    clone.setup()
    assert not half_made.exists() and clone.finds_itself()


def test_a_linked_environment_is_left_alone(clone: Clone, tmp_path: Path) -> None:
    (clone.folder / ".venv").rename(tmp_path / "shared")
    (clone.folder / ".venv").symlink_to(tmp_path / "shared")
    lose_interpreter(clone).setup()
    assert clone.installed == 1 and (tmp_path / "shared" / ".ready").exists()
