"""Files below folders and by patterns: links followed, circles left, names with brackets meant as they stand."""

import os
from pathlib import Path

import pytest

from unix_lib.config import folders
from unix_lib.config.folders import files_below, is_folder, is_regular, matching


def write(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)


def names(found: list[Path], root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in found]


def test_links_are_followed_once_and_circles_left(tmp_path: Path) -> None:
    top = tmp_path / "top"
    write(top / "b" / "1", top / "2", tmp_path / "elsewhere" / "deep" / "3")
    (top / "a").symlink_to(top / "b")  # a second name of what has its own
    (top / "c").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "deep" / "up").symlink_to(top)
    (top / "b" / "self").symlink_to(top / "b")
    (top / "nowhere").symlink_to(tmp_path / "absent")
    (top / "loop").symlink_to(top / "loop")
    assert names(files_below(top), top) == ["2", "b/1", "c/deep/3", "loop", "nowhere"]
    assert names(matching("top/**/3", tmp_path), tmp_path) == ["top/c/deep/3"]


@pytest.mark.parametrize(
    "pattern",
    [
        "*.txt",
        "a/*.txt",
        "*/*.txt",
        "**/*.txt",
        "a/**/*.txt",
        "**/c/*",
        "**/b/**/*.txt",
        "a/b/2.txt",
        "?/[!x]/*",
        "no/*",
    ],
)
def test_without_links_a_pattern_means_what_it_means_to_pathlib(tmp_path: Path, pattern: str) -> None:
    write(
        *(
            tmp_path / name
            for name in ("0.txt", "a/1.txt", "a/b/2.txt", "a/b/c/3.txt", "a/c/4", "d/.hidden.txt", "x/y/z")
        )
    )
    expected = sorted({path for path in tmp_path.glob(pattern) if path.is_file()})
    assert matching(pattern, tmp_path) == expected
    assert expected or pattern == "no/*"


def test_brackets_that_are_there_are_a_name(tmp_path: Path) -> None:
    write(tmp_path / "data [1]" / "a.txt", tmp_path / "data 1" / "b.txt")
    assert names(matching("data [1]/*.txt", tmp_path), tmp_path) == ["data [1]/a.txt"]
    assert names(matching("data [2]/*.txt", tmp_path), tmp_path) == []
    assert names(matching("data [12]/*.txt", tmp_path), tmp_path) == ["data 1/b.txt"]


def test_a_folder_that_lets_nobody_in_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "open" / "1", tmp_path / "closed" / "2")
    inside = folders._inside
    monkeypatch.setattr(folders, "_inside", lambda path: None if path.endswith("closed") else inside(path))
    assert names(files_below(tmp_path), tmp_path) == ["closed", "open/1"]
    for pattern in ("**/*", "*/*", "closed/*"):
        assert "closed" in names(matching(pattern, tmp_path), tmp_path)


def test_paths_are_in_order_name_by_name(tmp_path: Path) -> None:
    write(*(tmp_path / name for name in ("a/b", "a-b/c", "a.b", "ab/0")))
    found = files_below(tmp_path)
    assert found == sorted(found) != sorted(found, key=str)
    assert matching("**/*", tmp_path) == found


def test_only_files_that_end_are_regular(tmp_path: Path) -> None:
    write(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("file")
    assert [name for name in ("file", "link", "pipe", "absent", "x" * 5000, "\0") if is_regular(tmp_path / name)] == [
        "file",
        "link",
    ]
    assert is_folder(tmp_path) and not is_folder(tmp_path / "file") and not is_folder(tmp_path / ("x" * 5000))
