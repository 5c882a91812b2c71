"""Sharing through DVC: what one has pushed comes back for another, whole and nothing else; what hinders it says so."""

import json
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.workflow.dvc_project import dvc, make_repository, reproduced, unix_lib
from tests.workflow.project import Project
from unix_lib.config import load_experiment
from unix_lib.recipes.resolve import resolve
from unix_lib.versioning.policy import DVC, kind_of, left_out

PIPELINE, LOCK = "pipelines/tiny/dvc.yaml", "pipelines/tiny/dvc.lock"


@pytest.fixture
def versioned(project: Project) -> Project:
    """A finished project that nobody has pushed yet."""
    project.write_config()
    make_repository(project)
    unix_lib(project, "summarize")
    return project


def keep(project: Project) -> None:
    """Give every checkpoint a model and a training state, as real ones have, and push."""
    for folder in project.folder.glob("results/tiny/train/*"):
        for name in ("model/weights", "state/moments"):
            (folder / name).parent.mkdir()
            (folder / name).write_text(f"{folder.name} {name}")
    unix_lib(project, "push")


def clone_of(project: Project, folder: Path) -> Project:
    """What a colleague has of it after `git clone`."""
    clone = project.copy_to(folder)
    shutil.rmtree(clone.folder / ".dvc" / "cache")
    for path in clone.folder.glob("results/tiny/*"):
        if path.name != "summary":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return clone


def files_of(project: Project) -> dict[str, bytes]:
    results = project.folder / "results" / "tiny"
    return {path.relative_to(results).as_posix(): path.read_bytes() for path in results.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_what_is_kept_comes_back_and_leaves_nothing_to_be_made(versioned: Project, tmp_path: Path) -> None:
    keep(versioned)
    clone = clone_of(versioned, tmp_path / "other")
    before = set(files_of(clone))
    dvc(clone, "pull")  # succeeds although other configs never ran
    assert "nothing is left to be made" in unix_lib(clone, "pull")
    earlier = left_out(resolve(load_experiment(versioned.folder / "config" / "laptop.yaml"), versioned.folder))
    assert len(earlier) == 4 and "/train/unix-step-00010-*/model/" in earlier
    there, kinds = files_of(versioned), {}
    for name in there:
        kinds.setdefault(kind_of(name, earlier), set()).add(name)
    assert {kind.name for kind in kinds} >= {"training states", "models", "models of earlier checkpoints", "figures"}
    came = {
        name for name in set(files_of(clone)) - before if not name.startswith(("current/", "planned", ".", "made/"))
    }
    assert came == {name for kind, names in kinds.items() if kind.kept == DVC for name in names}
    assert all(files_of(clone)[name] == there[name] for name in came)
    assert "Nothing to be done" in clone.snakemake("--dry-run", "--", "all").stdout
    assert list(json.loads(dvc(clone, "status", "--json"))) == [f"{PIPELINE}:plan"]
    assert reproduced(dvc(clone, "repro", PIPELINE)) == ["plan"]


def test_pulling_adds_and_deletes_nothing(versioned: Project, tmp_path: Path) -> None:
    keep(versioned)
    clone = clone_of(versioned, tmp_path / "other")
    own = clone.folder / "results" / "tiny" / "pack" / "own-0123456789ab"
    own.mkdir(parents=True)
    (own / "made.txt").write_text("of the colleague")
    assert "nothing is left" in unix_lib(clone, "pull")
    lost = next((clone.folder / "results" / "tiny" / "pack").glob("mixed-*/made.txt"))
    lost.unlink()
    assert "1 files added" in unix_lib(clone, "pull")
    assert lost.is_file() and (own / "made.txt").read_text() == "of the colleague"
    unix_lib(clone, "push")
    shutil.copy(clone.folder / LOCK, versioned.folder / LOCK)  # as git would bring it
    assert "1 files added" in unix_lib(versioned, "pull")
    assert (versioned.folder / own.relative_to(clone.folder) / "made.txt").is_file()


def test_what_stands_in_the_way_is_one_line_with_a_remedy(versioned: Project, tmp_path: Path) -> None:
    assert "more than 0: `make push LIMIT=<GB>`" in unix_lib(versioned, "push", "--limit", "0", status=1)
    (versioned.folder / ".dvc" / "tmp" / "lock").write_text(" 999999\n")  # of a dead process: no hindrance
    assert "nobody has kept this experiment" in unix_lib(versioned, "pull", status=1)
    unix_lib(versioned, "push")
    shutil.rmtree(versioned.folder.parent / "uni-x-store")
    assert "does not exist, so nobody has pushed there" in unix_lib(versioned, "pull", status=1)
    dvc(versioned, "remote", "modify", "store", "url", "s3://nowhere/store")
    if find_spec("dvc_s3") is None:
        assert "requires 'dvc-s3' to be installed" in unix_lib(versioned, "push", status=1)
    dvc(versioned, "remote", "modify", "store", "url", str(tmp_path / "store"))
    unix_lib(versioned, "push")
    (versioned.folder / ".dvc" / "tmp" / "rwlock").write_text('{"wri')
    told = unix_lib(versioned, "push", status=1)
    assert "another DVC process" in told and "delete .dvc/tmp/lock and .dvc/tmp/rwlock" in told
    (versioned.folder / ".dvc" / "tmp" / "rwlock").unlink()
    lock = versioned.folder / LOCK
    digest = json.loads((versioned.folder / "results/tiny/planned.json").read_text())["pack"]["mixed"]
    altered = lock.read_text().replace(digest, "0" * 12)
    assert altered != lock.read_text()
    lock.write_text(altered)
    assert "names results of another version, config, or data from outside: pack/mixed" in unix_lib(
        versioned, "pull", status=1
    )


def test_a_revision_is_compared_by_what_git_and_dvc_have_of_it(versioned: Project) -> None:
    unix_lib(versioned, "push")
    identity = ["-c", "user.name=one", "-c", "user.email=one@example.org"]
    for command in (["add", "."], ["commit", "--quiet", "-m", "kept"]):
        subprocess.run(["git", *identity, *command], cwd=versioned.folder, check=True)
    versioned.config["train"]["runs"]["unix"]["seed"] = 77
    versioned.write_config()
    shown = unix_lib(versioned, "compare", "HEAD:tiny", "config/laptop.yaml", "--output", "compared")
    assert re.search(r"A \(HEAD:tiny\): [1-9]\d* artefacts", shown)
    assert re.search(r"train +│ +│ yes +│ no +│ unix-step-00000", shown)  # not trained anew so far
    assert "A (HEAD:tiny): no scores" in shown
    assert (versioned.folder / "compared" / "settings.csv").read_text().count("unix-step") >= 1
    assert "no revision that git knows" in unix_lib(versioned, "compare", "nowhere", "HEAD", status=1)
