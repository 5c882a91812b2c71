"""Seals: no bit of what is sealed can change unseen, and reading damage is one clear error."""

import json
from pathlib import Path

import pytest

from tests.artefacts.damage import DAMAGES, damage, files_in, flip_bit
from unix_lib.artefacts.sealed import (
    HASHES,
    SealError,
    is_whole,
    open_sealed,
    read_sealed,
    seal_fault,
    sealed_folder,
    sealed_text,
)

VALUES = {"job": {"threads": 2}, "rate": 1e-05, "name": "ü\n\x1f", "none": None}


def _folder(tmp_path: Path) -> Path:
    with sealed_folder(tmp_path / "kept", also=[tmp_path / "outside.bin"]) as folder:
        (folder / "a").mkdir()
        (folder / "a" / "b").write_bytes(b"inside")
        (tmp_path / "outside.bin").write_bytes(b"outside")
    return tmp_path / "kept"


@pytest.mark.parametrize("name", ["kept/a/b", f"kept/{HASHES}", "outside.bin"])
def test_every_flipped_bit_of_a_sealed_folder_is_found(tmp_path: Path, name: str) -> None:
    folder = _folder(tmp_path)
    assert seal_fault(folder) is None
    for bit in range(8 * (tmp_path / name).stat().st_size):
        flip_bit(tmp_path / name, bit)
        assert seal_fault(folder) is not None, bit
        flip_bit(tmp_path / name, bit)
    assert seal_fault(folder) is None


@pytest.mark.parametrize("how", DAMAGES)
def test_whatever_happens_to_a_sealed_folder_is_named(
    tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = _folder(tmp_path)
    for path in (*files_in(folder), tmp_path / "outside.bin"):
        caplog.clear()
        whole = path.read_bytes()
        damage(path, how)
        assert not is_whole(folder)
        assert "damaged, and computed again: " in caplog.text
        path.write_bytes(whole)
    assert is_whole(folder)
    (folder / "more").write_bytes(b"of nobody")
    assert not is_whole(folder)


def test_a_folder_that_was_never_there_is_no_damage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert not is_whole(tmp_path / "none")
    assert caplog.messages == []
    (tmp_path / "file").write_text("in a folder's place")
    assert not is_whole(tmp_path / "file")
    assert len(caplog.messages) == 1


def test_an_interrupted_write_leaves_the_old_folder(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    with pytest.raises(KeyboardInterrupt), sealed_folder(folder) as part:
        (part / "a").write_bytes(b"half")
        raise KeyboardInterrupt
    assert seal_fault(folder) is None
    _folder(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "outside.bin"]


def test_no_flipped_bit_of_a_sealed_file_is_believed(tmp_path: Path) -> None:
    """But for one in the word `seal` itself: that leaves a file without seal, which is said."""
    path = tmp_path / "settings.json"
    path.write_text(sealed_text(VALUES))
    assert open_sealed(path, "") == (VALUES, True)
    unsealed = 0
    for bit in range(8 * path.stat().st_size):
        flip_bit(path, bit)
        try:
            unsealed += not open_sealed(path, "")[1]
        except SealError:
            pass
        else:
            assert open_sealed(path, "")[0].items() >= VALUES.items()
        flip_bit(path, bit)
    assert 0 < unsealed <= 8 * len("seal")


@pytest.mark.parametrize("how", sorted(set(DAMAGES) - {"missing"}))
def test_a_damaged_sealed_file_is_one_clear_error(tmp_path: Path, how: str) -> None:
    path = tmp_path / "settings.json"
    path.write_text(sealed_text(VALUES))
    damage(path, how)
    with pytest.raises(SealError, match=r"settings\.json: .*; ask again"):
        read_sealed(path, "ask again")


def test_a_missing_seal_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(VALUES))
    assert read_sealed(path, "") == VALUES
    assert caplog.messages == [f"{path}: has no seal, so nothing proves what it says"]
