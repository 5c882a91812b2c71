"""The Makefile on machines that lack something: a home, a user's name, a plain path."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STUB = """#!/bin/sh
for argument in "$@"; do printf '%s\\n' "argument $argument"; done
for name in HOME USER HF_HOME XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME; do
    eval "printf '%s\\n' \\"$name=\\$$name\\""
done
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The Makefile beside an environment that is ready, whose programs print what they are given."""
    clone = tmp_path / "a b[1] {x} 'ü"
    programs = clone / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "envs"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, clone / name)
    for name, text in (("python", "#!/bin/sh\n"), ("snakemake", STUB), ("unix-lib", STUB)):
        (programs / name).write_text(text)  # a Python that finds nothing wrong with the environment
        (programs / name).chmod(0o755)
    (clone / ".venv" / ".ready").touch()
    os.utime(clone / ".venv" / ".ready", (4e9, 4e9))
    return clone


def make(clone: Path, *arguments: str, **environment: str) -> tuple[list[str], dict[str, str]]:
    """Arguments and environment of the program that a target starts."""
    names = clone.parent / "no-names"  # `id` of a user without a name
    names.mkdir(exist_ok=True)
    (names / "id").write_text("#!/bin/sh\nexit 1\n")
    (names / "id").chmod(0o755)
    done = subprocess.run(
        ["make", "--silent", *arguments],
        cwd=clone,
        env={"PATH": f"{names}:{os.environ['PATH']}"} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    given = [line.removeprefix("argument ") for line in lines if line.startswith("argument ")]
    return given, dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("argument "))


@pytest.mark.parametrize("home", [None, "", "/nowhere/at all"])
def test_without_a_home_or_a_name_the_checkout_has_both(clone: Path, home: str | None) -> None:
    _, environment = make(clone, "plan", **({} if home is None else {"HOME": home}))
    here = f"{clone}/.snakemake/home"
    assert environment == {
        "HOME": here,
        "USER": "user",
        "HF_HOME": f"{here}/huggingface",
        "XDG_CACHE_HOME": f"{here}/cache",
        "XDG_CONFIG_HOME": f"{here}/config",
        "XDG_DATA_HOME": f"{here}/data",
    }


def test_a_home_a_name_and_what_was_fetched_are_kept(clone: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    _, environment = make(clone, "plan", HOME=str(tmp_path / "home"), LOGNAME="me")
    assert environment["HOME"] == str(tmp_path / "home")
    assert not any(environment[name] for name in environment if name != "HOME")
    (tmp_path / "cache" / "huggingface").mkdir(parents=True)
    _, environment = make(clone, "plan", XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert environment["HF_HOME"] == str(tmp_path / "cache" / "huggingface")
    _, environment = make(clone, "plan", HF_HOME="/shared/models")
    assert environment["HF_HOME"] == "/shared/models"


@pytest.mark.parametrize("target", ["run", "plan", "figures", "push", "pull", "doctor"])
def test_a_config_of_any_name_is_one_argument(clone: Path, target: str) -> None:
    given, _ = make(clone, target, "CONFIG=my configs/-odd [1] {z} 'ü.yaml")
    assert "my configs/-odd [1] {z} 'ü.yaml" in given
