"""Files of rows: their names, their parts, and where the hub keeps a data set."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from unix_lib.config.file_hashes import FileHashes
from unix_lib.config.hub_files import hub_snapshot
from unix_lib.config.outside import Outside
from unix_lib.config.row_files import RowFiles, RowSelection, cut_into_parts

COMMIT = "c0ffee" + "0" * 34


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"HF_HOME": "/some/where"},
        {"XDG_CACHE_HOME": "/caches"},
        {"HF_HOME": "/some/where", "HF_HUB_CACHE": "/hub"},
        {"HF_HOME": "~/there"},
        {"HF_HUB_CACHE": "$HOME/hub"},
        {"HUGGINGFACE_HUB_CACHE": "/old"},
    ],
    ids=lambda values: ",".join(values) or "nothing set",
)
def test_the_hubs_cache_is_where_its_library_has_it(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HOME", "XDG_CACHE_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    asked = (
        "from huggingface_hub import constants as c; from huggingface_hub.file_download import repo_folder_name as n;"
        "print(c.HF_HUB_CACHE, n(repo_id='owner/name', repo_type='dataset'), sep='/')"
    )
    folder = subprocess.run([sys.executable, "-c", asked], env=os.environ, capture_output=True, text=True, check=True)
    assert hub_snapshot("owner/name", COMMIT) == Path(folder.stdout.strip(), "snapshots", COMMIT)


def outside(root: Path) -> Outside:
    return Outside(root, FileHashes(None))


def test_names_say_nothing_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "far" / "set").mkdir(parents=True)
    (tmp_path / "root" / "data").mkdir(parents=True)
    for path in ("far/set/a.txt", "root/data/b.txt"):
        (tmp_path / path).write_text("a")
    root = tmp_path / "root"
    files = RowFiles(files=[f"{tmp_path}/far/set/*.txt", "data/*.txt"])
    assert set(files.named_files(outside(root)).values()) == {"set/a.txt", "data/b.txt"}


def test_files_of_the_hub_are_known_by_its_revision_and_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    folder = hub_snapshot("owner/name", COMMIT) / "sample"
    folder.mkdir(parents=True)
    (folder / "a.jsonl").write_text(json.dumps({"text": "a"}))
    files = RowFiles(files=["sample/*.jsonl"], repository="owner/name", revision=COMMIT)
    here = outside(tmp_path)
    assert list(files.named_files(here).values()) == ["sample/a.jsonl"]
    first = files.identity_of(files.named_files(here), here)
    assert first.count == 1 and first.bytes == (folder / "a.jsonl").stat().st_size
    (folder / "a.jsonl").write_text("{}")
    again = here.anew()
    assert files.identity_of(files.named_files(again), again) != first
    with pytest.raises(ValidationError, match="'revision' goes with 'repository'"):
        RowFiles(files=["a"], revision=COMMIT)


def test_a_part_ends_with_the_file_that_fills_it(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{number}.txt") for number in range(6)]
    for path in paths:
        Path(path).write_bytes(b"a" * 600_000)
    by_size = lambda path: Path(path).stat().st_size  # noqa: E731
    parts = cut_into_parts(paths, 1, by_size)
    assert parts == [paths[:2], paths[2:4], paths[4:]]
    assert cut_into_parts(paths[:5], 1, by_size)[:2] == parts[:2]
    assert cut_into_parts(paths, None, by_size) == [paths] and cut_into_parts([], 1, by_size) == [[]]


def test_a_fraction_is_met_and_nested_in_a_larger_one() -> None:
    small, large = RowSelection(fraction=0.2), RowSelection(fraction=0.5)
    keys = [f"a.jsonl:{number}" for number in range(4000)]
    drawn = {key for key in keys if small.draws(key)}
    assert abs(len(drawn) / 4000 - 0.2) < 0.03 and drawn < {key for key in keys if large.draws(key)}
