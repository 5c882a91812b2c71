"""Inventories: what they say of a file holds as long as the file is as it was; what is damaged is not believed."""

import os
from pathlib import Path

import pytest

from unix_lib.config.folders import INVENTORY, files_below, matching
from unix_lib.config.inventory import (
    ELSEWHERE,
    Inventories,
    Inventory,
    append,
    block_of,
    place_of,
    rewrite,
    stamp_at,
    written,
)

FIRST = [(b"a", b"1 2 3", b"a" * 64), (b"deep/line\nbreak \xff", b"4 5 6", b"b" * 64)]
SECOND = [(b"a", b"7 8 9", b"c" * 64)]


def test_a_later_block_goes_before_an_earlier_one(tmp_path: Path) -> None:
    append(tmp_path / INVENTORY, FIRST)
    append(tmp_path / INVENTORY, SECOND)
    found = Inventory.read(tmp_path / INVENTORY)
    assert found.entries == {b"a": (b"7 8 9", b"c" * 64), FIRST[1][0]: FIRST[1][1:]} and found.fault is None


def test_every_damaged_byte_and_every_cut_is_noticed(tmp_path: Path) -> None:
    path, whole = tmp_path / INVENTORY, block_of(FIRST) + block_of(SECOND)
    before = len(block_of(FIRST))
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 4
        for content in (bytes(damaged), whole[:at]):
            path.write_bytes(content)
            found = Inventory.read(path)
            assert (found.fault is None) == (content in (b"", whole[:before]))
            assert found.entries == ({} if at < before else {name: (stamp, of) for name, stamp, of in FIRST})


def test_what_is_damaged_is_gone_before_more_is_added(tmp_path: Path) -> None:
    path = tmp_path / INVENTORY
    path.write_bytes(block_of(FIRST) + block_of(SECOND)[:-1])
    rewrite(path, Inventory.read(path))
    append(path, SECOND)
    assert Inventory.read(path).fault is None and Inventory.read(path).entries[b"a"] == SECOND[0][1:]


@pytest.mark.parametrize("place", ["beside", "above", "elsewhere"])
def test_a_file_is_known_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    data = tmp_path / "data" / "deep" / "er"
    data.mkdir(parents=True)
    (data / "file").write_text("one")
    top = {"beside": data, "above": tmp_path / "data", "elsewhere": data.parent}[place]
    if place == "elsewhere":  # root may write everywhere
        monkeypatch.setattr(os, "access", lambda path, mode: False)
    kept = place_of(str(top), tmp_path)
    assert kept.is_relative_to(tmp_path / ELSEWHERE) == (place == "elsewhere")
    kept.parent.mkdir(parents=True, exist_ok=True)
    stamp = stamp_at(str(data / "file"))
    assert stamp is not None
    append(kept, [(os.fsencode((data / "file").relative_to(top)), written(stamp), b"d" * 64)])
    known = Inventories(tmp_path)
    assert known.digest(str(data / "file"), stamp) == "d" * 64 and known.faults == []
    assert known.digest(str(data / "other"), stamp) is None
    (data / "file").write_text("two")
    os.utime(data / "file", ns=(0, stamp[1]))  # as large, and with the time that it had
    now = stamp_at(str(data / "file"))
    assert now is not None and now[:2] == stamp[:2]
    assert known.digest(str(data / "file"), now) is None


def test_inventories_are_no_data(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    append(tmp_path / INVENTORY, FIRST)
    assert files_below(tmp_path) == matching("*", tmp_path) == matching("**/*", tmp_path) == [tmp_path / "file"]
