"""Digests of outside files: remembered while the file is as it was, never believed when that can't be known."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.config.hashed import OLD, hashed, write
from unix_lib.artefacts.files import sha256_of
from unix_lib.config.file_hashes import UNREADABLE, FileHashes
from unix_lib.config.inventory import stamp_at

__all__ = ["hashed"]


def of(path: Path, cache: Path) -> str:
    hashes = FileHashes(cache)
    digest = hashes.of(path)
    hashes.save()
    return digest


def of_now(path: Path) -> tuple[int, str]:
    return FileHashes(None).size_and_digest(str(path), stamp_at(str(path)))


def test_a_file_is_read_once_until_it_changes(tmp_path: Path, hashed: list[str]) -> None:
    path, cache = write(tmp_path / "a", "one"), tmp_path / "cache"
    first = of(path, cache)
    assert of(path, cache) == first == sha256_of(path) and hashed == ["a"]
    write(path, "two")  # as large, and with the time that it had
    assert of(path, cache) == sha256_of(path) != first and hashed == ["a", "a"]


def test_what_was_written_just_now_is_not_kept(tmp_path: Path, hashed: list[str]) -> None:
    path, cache = write(tmp_path / "a", "one", modified=None), tmp_path / "cache"
    assert of(path, cache) == of(path, cache)
    assert hashed == ["a", "a"]


@pytest.mark.parametrize("at", [0, 70, -5])
def test_a_damaged_cache_costs_time_only(tmp_path: Path, hashed: list[str], at: int) -> None:
    path, cache = write(tmp_path / "a", "one"), tmp_path / "cache"
    first = of(path, cache)
    damaged = bytearray(cache.read_bytes())
    damaged[at] ^= 1
    cache.write_bytes(damaged)
    assert of(path, cache) == first and hashed == ["a", "a"]
    for text in ("", "[]", "{}", "{", "null"):
        cache.write_text(text)
        assert of(path, cache) == first


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    assert of(write(tmp_path / "a", "one"), tmp_path / "a" / "cache") == sha256_of(tmp_path / "a")


def test_what_cannot_be_read_is_told_apart_from_what_can(tmp_path: Path, unreadable: Callable[[Path], None]) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("absent")
    path = write(tmp_path / "a", "one")
    assert of_now(path) == (3, sha256_of(path))
    unreadable(path)
    (tmp_path / "fault").symlink_to("/proc/self/mem")  # a regular file whose first byte can't be read
    with pytest.raises(OSError, match="Input/output"):
        (tmp_path / "fault").read_bytes()
    for name in ("a", "pipe", "link", "fault", "absent"):
        assert of_now(tmp_path / name) == (0, UNREADABLE)


def test_what_was_touched_since_is_named(tmp_path: Path) -> None:
    hashes = FileHashes(None)
    paths = [write(tmp_path / name, name) for name in "abcd"]
    for path in paths:
        hashes.of(path)
    assert list(hashes.written_since()) == []
    write(paths[0], "longer")
    write(paths[1], "b", modified=OLD + 1)  # the same again
    paths[2].unlink()
    assert list(hashes.written_since()) == [str(path) for path in paths[:3]]
