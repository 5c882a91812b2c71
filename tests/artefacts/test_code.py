"""Which code runs: told truly wherever the library lies and whatever git and its variables say, and refused where it
is not the code of the clone that runs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow.project import ROOT, Project
from unix_lib import __version__
from unix_lib.artefacts.code import NO_CHECKOUT, CodeError, code_version, described, require_library
from unix_lib.artefacts.manifest import read_manifest


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "protocol.file.allow=always"]
    command = ["git", *identity, "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def write_release(folder: Path) -> Path:
    """A release, unpacked; returns its package."""
    for name in ("unix_lib/__init__.py", "unix_lib/pack/make.py", "scripts/pack.py", "config/laptop.yaml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"# {name}\n")
    (folder / ".gitignore").write_text("__pycache__/\n*_local.py\n")
    return folder / "unix_lib"


def commit(folder: Path) -> str:
    """Commit all that a folder has, in a repository that begins there or above; returns the commit."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "as it is")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clean clone."""
    write_release(tmp_path / "clone")
    git(tmp_path, "init", "--quiet", "clone")
    commit(tmp_path / "clone")
    return tmp_path / "clone"


def state(folder: Path) -> tuple[str | None, bool | None]:
    code = code_version(folder / "unix_lib")
    return code["commit"], code.get("dirty")


def test_a_clone_has_its_commit(clone: Path) -> None:
    assert state(clone) == (git(clone, "rev-parse", "HEAD"), False)


def test_only_a_change_of_code_makes_a_clone_dirty(clone: Path) -> None:
    (clone / "config" / "laptop.yaml").write_text("experiment: another\n")
    (clone / "notes.py").write_text("")
    assert state(clone)[1] is False


@pytest.mark.parametrize(
    "name", ["unix_lib/pack/make.py", "scripts/pack.py", "unix_lib/pack/new.py", "unix_lib/ignored_local.py"]
)
def test_code_that_was_changed_or_added_makes_a_clone_dirty(clone: Path, name: str) -> None:
    before = code_version(clone / "unix_lib")
    (clone / name).write_text("changed = True\n")
    after = code_version(clone / "unix_lib")
    assert (after["commit"], after["dirty"]) == (before["commit"], True)
    assert (after["library"] != before["library"]) == name.startswith("unix_lib/")
    assert described(after) == f"{before['commit']} (changed)"


def test_two_dirty_states_of_a_commit_are_told_apart(clone: Path) -> None:
    states = []
    for text in ("a = 1\n", "a = 2\n"):
        (clone / "unix_lib" / "pack" / "make.py").write_text(text)
        git(clone, "update-index", "--assume-unchanged", "unix_lib/pack/make.py")
        states.append(code_version(clone / "unix_lib")["library"])
    assert len(set(states)) == 2


@pytest.mark.parametrize("inside", ["", "vendored/release"])
@pytest.mark.parametrize("tracked", [True, False])
def test_a_release_in_somebodys_repository_does_not_take_its_commit(tmp_path: Path, inside: str, tracked: bool) -> None:
    """Below its root, or unpacked over it; the latter's own only once it tracks the package."""
    git(tmp_path, "init", "--quiet")
    theirs = commit(tmp_path)
    write_release(tmp_path / inside)
    theirs = commit(tmp_path) if tracked else theirs
    code = code_version(tmp_path / inside / "unix_lib")
    own = tracked and not inside
    assert code["commit"] == (theirs if own else None)
    assert own or described(code) == f"version {__version__} ({NO_CHECKOUT})"


def test_an_installed_library_has_its_version(clone: Path) -> None:
    """Also where its environment lies in a clone."""
    (clone / ".gitignore").write_text(".venv\n")
    package = write_release(clone / ".venv" / "lib" / "site-packages")
    code = code_version(package)
    assert (code["version"], code["commit"], code["unknown"]) == (__version__, None, NO_CHECKOUT)


@pytest.mark.parametrize("layout", ["worktree", "submodule", "link"])
def test_a_clone_whose_repository_lies_elsewhere_has_its_commit(clone: Path, tmp_path: Path, layout: str) -> None:
    folder = tmp_path / "other" / "clone"
    folder.parent.mkdir()
    if layout == "worktree":
        git(clone, "worktree", "add", "--quiet", "-b", "other", str(folder))
        commit(folder)
    elif layout == "submodule":
        git(folder.parent, "init", "--quiet")
        commit(folder.parent)
        git(folder.parent, "submodule", "--quiet", "add", str(clone), "clone")
    else:
        folder.symlink_to(clone, target_is_directory=True)
    assert (folder / ".git").is_file() == (layout != "link")
    assert state(folder) == (git(folder, "rev-parse", "HEAD"), False)


def test_gits_variables_do_not_mislead(clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that a hook, or a `git rebase --exec`, leaves to what it starts."""
    expected = state(clone)
    write_release(tmp_path / "other")
    git(tmp_path, "init", "--quiet", "other")
    other = commit(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "other"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_LITERAL_PATHSPECS", "1")
    assert git(clone, "rev-parse", "HEAD") == other  # misled
    assert state(clone) == expected
    (clone / "unix_lib" / "new.py").touch()
    assert state(clone) == (expected[0], True)


def test_a_commit_under_way_is_not_disturbed(clone: Path) -> None:
    lock = clone / ".git" / "index.lock"
    lock.touch()
    os.utime(clone / "unix_lib" / "pack" / "make.py")  # git would like to note that it has seen the file
    assert state(clone) == (git(clone, "rev-parse", "HEAD"), False)
    assert lock.is_file()


def test_a_repository_of_another_user_is_said_to_be_unknown(clone: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    for path in (clone, clone / ".git"):
        os.chown(path, 54321, 54321)
    code = code_version(clone / "unix_lib")
    assert code["commit"] is None
    assert "dubious ownership" in code["unknown"]
    assert "dubious ownership" in described(code)


def test_without_commit_repository_or_git_it_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = write_release(tmp_path)
    assert "not a git repository" in code_version(package)["unknown"]
    git(tmp_path, "init", "--quiet")
    assert "HEAD" in code_version(package)["unknown"]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "git" in code_version(package)["unknown"]


def test_a_manifest_of_an_earlier_version_is_described() -> None:
    assert described({}) == ""
    assert described({"commit": "0123", "dirty": True}) == "0123 (changed)"


def test_a_change_during_a_job_is_recorded(tmp_path: Path) -> None:
    """What was imported before and after it can't be told apart: the manifest has both."""
    shutil.copytree(ROOT / "unix_lib", tmp_path / "unix_lib", ignore=shutil.ignore_patterns("__pycache__"))
    git(tmp_path, "init", "--quiet")
    first = commit(tmp_path)
    program = """if True:
        import sys
        from pathlib import Path
        from unix_lib.artefacts.code import code_at_start
        from unix_lib.artefacts.manifest import write_manifest

        code_at_start()
        if len(sys.argv) > 1:
            Path(sys.argv[1]).touch()
        Path("a").mkdir(exist_ok=True)
        write_manifest(Path("a"), "digest", {})
    """
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    described_as = []
    for arguments in ([], ["unix_lib/new.py"]):
        command = [sys.executable, "-P", "-c", program, *arguments]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True)
        described_as.append(described(read_manifest(tmp_path / "a").provenance["code"]))
    assert described_as == [first, f"{first} (changed during the job)"]


def test_a_folder_without_a_library_goes_with_any(tmp_path: Path) -> None:
    require_library(tmp_path)
    require_library(ROOT)
    (tmp_path / "unix_lib").symlink_to(ROOT / "unix_lib")
    require_library(tmp_path)


def test_a_clones_library_must_be_the_one_imported(clone: Path) -> None:
    with pytest.raises(CodeError) as error:
        require_library(clone)
    assert all(str(path) in str(error.value) for path in (clone / "unix_lib", ROOT / "unix_lib"))


@pytest.mark.parametrize("script", sorted((ROOT / "scripts").glob("*.py")), ids=lambda path: path.stem)
def test_every_script_refuses_a_library_from_elsewhere(clone: Path, script: Path) -> None:
    shutil.copy(script, clone / "scripts" / script.name)
    execution = clone / "execution.json"
    execution.write_text('{"job": {}}')
    given = ["--recipe", "recipe.json", "--execution", str(execution), "--output", "manifest.json"]
    command = [sys.executable, "-P", f"scripts/{script.name}", *given]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    finished = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 1
    assert finished.stderr.startswith("CodeError: ")
    assert finished.stderr.count("\n") == 1
    assert str(clone / "unix_lib") in finished.stderr


@pytest.mark.parametrize("arguments", [["snakemake", "--dry-run"], ["unix_lib", "status"], ["unix_lib", "plan"]])
def test_the_workflow_and_commands_refuse_a_library_from_elsewhere(project: Project, arguments: list[str]) -> None:
    command = [sys.executable, "-P", "-m", *arguments]
    environment = project.environment(PYTHONPATH=str(ROOT))
    finished = subprocess.run(command, cwd=project.folder, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode != 0
    told = finished.stdout + finished.stderr
    assert f"{project.folder / 'unix_lib'} is not the library that Python imports" in told
    assert "Traceback" not in told
