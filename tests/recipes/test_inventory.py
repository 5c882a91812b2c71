"""Taking inventory: planning then reads nothing that is as it was, and comes to the same recipes."""

import logging
import os
from pathlib import Path

import pytest

from tests.config.hashed import hashed, write
from unix_lib.config import file_hashes
from unix_lib.config.experiment import Experiment
from unix_lib.config.file_hashes import FileHashes
from unix_lib.config.folders import INVENTORY
from unix_lib.config.load import parse_experiment
from unix_lib.recipes import inventory
from unix_lib.recipes.inventory import Taken, files_by_top, take_inventory
from unix_lib.recipes.resolve import resolve

__all__ = ["hashed"]


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    """Photographs in two folders with captions outside them, and texts."""
    for name in ("photos/a/1.png", "photos/a/2.png", "photos/b/3.png", "texts/x.txt", "texts/deep/y.txt"):
        write(tmp_path / name, name)
    rows = [f"{name},a thing" for name in ("a/1.png", "a/2.png", "b/3.png")]
    write(tmp_path / "captions.csv", "\n".join(["image,caption", *rows]))
    sources = {
        "photos": {"kind": "image_folder", "folder": "photos", "captions": "captions.csv"},
        "texts": {"kind": "text", "corpus": "files", "files": ["texts/**/*.txt"]},
    }
    return parse_experiment({"experiment": "own", "sources": sources}, "test", tmp_path)


def planned(experiment: Experiment, root: Path) -> tuple[list[str], list[str]]:
    plan = resolve(experiment, root, FileHashes.of_plan(root / "results" / "own"))
    return list(plan.jobs), plan.notices


def test_what_the_jobs_read_is_listed_by_the_folder_that_holds_it(experiment: Experiment, tmp_path: Path) -> None:
    listed = {
        os.path.relpath(top, tmp_path): sorted(os.path.relpath(path, top) for path in paths)
        for top, paths in files_by_top(experiment, tmp_path).items()
    }
    assert listed == {
        "photos": ["a/1.png", "a/2.png", "b/3.png"],
        ".": ["captions.csv"],
        "texts": ["deep/y.txt", "x.txt"],
    }


def test_planning_reads_nothing_that_an_inventory_has(
    experiment: Experiment, tmp_path: Path, hashed: list[str]
) -> None:
    before, _ = planned(experiment, tmp_path)
    assert sorted(hashed) == ["1.png", "2.png", "3.png", "captions.csv", "x.txt", "y.txt"]
    (tmp_path / "results" / "own" / ".file-hashes.json").unlink(missing_ok=True)
    hashed.clear()
    taken = take_inventory(experiment, tmp_path, readers=2)
    assert (taken.files, taken.known, taken.read_files, taken.unreadable) == (6, 0, 6, [])
    assert taken.read_bytes == taken.bytes == sum(path.stat().st_size for path in _data(tmp_path))
    assert planned(experiment, tmp_path) == (before, []) and hashed == []
    write(tmp_path / "photos" / "a" / "2.png", "A thing of old.")  # as large, and with the time that it had
    after, _ = planned(experiment, tmp_path)
    assert hashed == ["2.png"] and after != before
    again = take_inventory(experiment, tmp_path, readers=2)
    assert (again.known, again.read_files) == (5, 1)
    assert planned(experiment, tmp_path) == (after, [])


def _data(root: Path) -> list[Path]:
    return [path for path in root.rglob("*.*") if path.suffix in (".png", ".txt", ".csv")]


@pytest.mark.parametrize("readers", [1, 3])
def test_a_killed_one_goes_on_where_it_stopped(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readers: int
) -> None:
    monkeypatch.setattr(inventory, "SECONDS", 0.0)
    monkeypatch.setattr(inventory, "TOGETHER", 1)

    def killed(so_far: Taken) -> None:
        if so_far.read_files >= 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take_inventory(experiment, tmp_path, readers, killed)
    taken = take_inventory(experiment, tmp_path, readers)
    assert taken.known >= 2 and taken.known + taken.read_files == taken.files == 6


def test_a_damaged_one_is_not_believed_and_said(experiment: Experiment, tmp_path: Path, hashed: list[str]) -> None:
    take_inventory(experiment, tmp_path, readers=1)
    path = tmp_path / "photos" / INVENTORY
    damaged = bytearray(path.read_bytes())
    damaged[-10] ^= 1
    path.write_bytes(damaged)
    jobs, notices = planned(experiment, tmp_path)
    assert sorted(hashed) == ["1.png", "2.png", "3.png"] and str(path) in notices[0]
    taken = take_inventory(experiment, tmp_path, readers=1)
    assert (taken.known, taken.read_files) == (3, 3) and str(path) in taken.faults[0]
    hashed.clear()
    assert planned(experiment, tmp_path) == (jobs, []) and hashed == []


def test_what_was_written_just_now_is_left_to_the_next(experiment: Experiment, tmp_path: Path) -> None:
    os.utime(tmp_path / "photos" / "a" / "1.png")
    taken = take_inventory(experiment, tmp_path, readers=1)
    assert (taken.read_files, taken.unsettled) == (6, 1)
    assert take_inventory(experiment, tmp_path, readers=1).known == 5


def test_much_reading_by_a_plan_is_said(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(file_hashes, "MUCH", 20)
    with caplog.at_level(logging.WARNING):
        planned(experiment, tmp_path)
    assert [record.message.count("inventory CONFIG") for record in caplog.records] == [1]
    take_inventory(experiment, tmp_path, readers=1)
    caplog.clear()
    planned(experiment, tmp_path)
    assert not caplog.records
