"""Sharing: what a store has whole is linked, what it has damaged is not, and nothing is written there."""

import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.recipes.finished import small_plan
from unix_lib.artefacts import files
from unix_lib.artefacts.manifest import MANIFEST, open_artefact, read_manifest
from unix_lib.artefacts.recipe import write_recipe
from unix_lib.artefacts.sealed import is_whole, seal
from unix_lib.artefacts.verify import verify
from unix_lib.jobs.job import Job, lock_path
from unix_lib.jobs.lock import Lock
from unix_lib.recipes.plan import Plan
from unix_lib.recipes.sharing import share, shareable


def other(values: dict[str, Any]) -> None:
    values["experiment"] = "other"
    values["stores"] = ["results", "theirs"]


def make(plan: Plan, artefact: str, results: Path) -> Path:
    """An artefact of two files, one beside them and a training state."""
    write_recipe(plan.jobs[artefact].recipe, results)
    job: Job[Any, Any] = Job.of(plan.jobs[artefact].recipe, results, plan.jobs[artefact].execution)
    for name in ("data/1.bin", "2.txt", "speed.txt", "state/weights.bin"):
        (job.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (job.folder / name).write_text(f"{artefact} {name}")
    seal(job.folder / "state")
    (job.folder / "sampling.json").write_text("{}")  # no part of it
    job.finish({"data/1.bin": None, "2.txt": 3}, facts={"answer": 1}, beside=["speed.txt"])
    return job.folder


def listed(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.chdir(tmp_path)
    return small_plan(other)


@pytest.fixture
def checkpoint(plan: Plan) -> str:
    return plan.checkpoint("base", 30)


RESULTS = Path("results/other")


@pytest.mark.parametrize("store", ["results/tiny", "theirs/results-of-theirs", "theirs"])
@pytest.mark.parametrize("links", [True, False])
def test_what_a_store_has_is_linked_and_nothing_written_there(
    plan: Plan, checkpoint: str, store: str, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = make(plan, checkpoint, Path(store))
    before = listed(origin)
    if not links:

        def refused(self: Path, target: Path) -> None:
            raise OSError("another disk")

        monkeypatch.setattr(Path, "hardlink_to", refused)
    assert shareable(plan, RESULTS) == {checkpoint: [origin]}
    assert share(plan, RESULTS) == [checkpoint]
    found, told = open_artefact(RESULTS / checkpoint), open_artefact(origin)
    assert found.digest == told.digest and found.sealed
    assert found.provenance == told.provenance | {"shared_from": [str(origin.resolve())]}
    assert (origin / "2.txt").samefile(RESULTS / checkpoint / "2.txt") == links
    assert is_whole(RESULTS / checkpoint / "state") and (RESULTS / checkpoint / "speed.txt").is_file()
    assert not (RESULTS / checkpoint / "sampling.json").exists()
    assert listed(origin) == before and shareable(plan, RESULTS) == {}
    assert verify(RESULTS).faults == []


@pytest.mark.parametrize("name", ["data/1.bin", MANIFEST, "recipe.json"])
@pytest.mark.parametrize("damage", ["changed", "cut", "gone"])
def test_what_is_damaged_is_not_used_and_said(
    plan: Plan, checkpoint: str, name: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    origin = make(plan, checkpoint, Path("results/tiny"))
    content = (origin / name).read_bytes()
    if damage == "gone":
        (origin / name).unlink()
    else:
        (origin / name).write_bytes(
            content[: len(content) // 2] if damage == "cut" else content[:-1] + bytes([content[-1] ^ 1])
        )
    before = listed(origin)
    with caplog.at_level(logging.WARNING):
        assert share(plan, RESULTS) == []
    assert not (RESULTS / checkpoint).exists() and listed(origin) == before
    assert (str(origin) in caplog.text) != ((name, damage) == (MANIFEST, "gone"))
    whole = make(plan, checkpoint, Path("theirs"))  # another store that has it whole
    assert share(plan, RESULTS) == [checkpoint]
    assert read_manifest(RESULTS / checkpoint).provenance["shared_from"] == [str(whole.resolve())]


def test_a_state_or_a_file_beside_that_is_damaged_is_left_out(plan: Plan, checkpoint: str) -> None:
    origin = make(plan, checkpoint, Path("results/tiny"))
    for name in ("speed.txt", "state/weights.bin"):
        (origin / name).write_text("other")
    assert share(plan, RESULTS) == [checkpoint]
    assert not (RESULTS / checkpoint / "state").exists() and not (RESULTS / checkpoint / "speed.txt").exists()
    assert verify(RESULTS).faults == []


def test_another_recipe_in_a_folder_of_that_name_is_not_used(plan: Plan, checkpoint: str) -> None:
    others = make(plan, plan.checkpoint("unix", 30), Path("results/tiny"))
    shutil.copytree(others, Path("results/tiny") / checkpoint)
    assert share(plan, RESULTS) == [plan.checkpoint("unix", 30)]


def test_files_outside_the_artefact_are_not_linked(
    plan: Plan, checkpoint: str, caplog: pytest.LogCaptureFixture
) -> None:
    origin = make(plan, checkpoint, Path("results/tiny"))
    (origin / "2.txt").rename(origin.parent / "2.txt")
    job: Job[Any, Any] = Job.of(plan.jobs[checkpoint].recipe, Path("results/tiny"), plan.jobs[checkpoint].execution)
    job.finish({"data/1.bin": None, "../2.txt": 3})
    assert share(plan, RESULTS) == [] and "outside the artefact" in caplog.text


def test_without_stores_all_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = small_plan(lambda values: values.update(experiment="other", stores=[]))
    make(plan, plan.checkpoint("base", 30), Path("results/tiny"))
    assert share(plan, RESULTS) == []


def test_what_is_being_made_is_left_alone(plan: Plan, checkpoint: str, caplog: pytest.LogCaptureFixture) -> None:
    make(plan, checkpoint, Path("results/tiny"))
    (RESULTS / checkpoint).mkdir(parents=True)
    (RESULTS / checkpoint / "half").touch()
    with Lock(lock_path(RESULTS / "work" / checkpoint)):
        assert share(plan, RESULTS) == [] and "is at work on this" in caplog.text
    assert (RESULTS / checkpoint / "half").exists()
    assert share(plan, RESULTS) == [checkpoint] and not (RESULTS / checkpoint / "half").exists()


def test_a_job_that_makes_it_anew_does_not_write_into_the_store(plan: Plan, checkpoint: str) -> None:
    origin = make(plan, checkpoint, Path("results/tiny"))
    assert share(plan, RESULTS) == [checkpoint]
    name = Path("data/1.bin")
    assert (origin / name).samefile(RESULTS / checkpoint / name)
    (RESULTS / checkpoint / "2.txt").unlink()  # damaged here
    before = listed(origin)
    job: Job[Any, Any] = Job.of(plan.jobs[checkpoint].recipe, RESULTS, plan.jobs[checkpoint].execution)
    assert job.made() is None
    with open(job.folder / name, "w") as file:  # as a writer that does not rename
        file.write("anew")
    assert listed(origin) == before and files.sha256_of(origin / name) != files.sha256_of(job.folder / name)
