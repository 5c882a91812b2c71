"""Whether a state fits."""

from pathlib import Path

from unix_lib.train.disk_space import free_bytes, space_fault


def test_the_folder_and_both_numbers_are_named() -> None:
    assert space_fault(Path("work"), 1_000_000, 1_020_000) is None
    fault = space_fault(Path("work"), 1_000_000, 1_019_999)
    assert fault is not None and fault.startswith(
        "work: the state needs 1,020,000 bytes and the disk has 1,019,999 free"
    )


def test_free_bytes_are_those_of_the_disk(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) > 0
