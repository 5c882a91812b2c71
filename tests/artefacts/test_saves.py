"""Which saves of a run stay."""

from pathlib import Path

from unix_lib.artefacts.saves import clear_saves, prune_saves, save_folder, saves
from unix_lib.artefacts.sealed import sealed_folder


def _save(work: Path, step: int) -> None:
    with sealed_folder(save_folder(work, step)) as folder:
        (folder / "weights").write_bytes(b"w")


def _names(work: Path) -> list[str]:
    return sorted(path.name for path in work.iterdir())


def test_two_saves_are_kept_and_unfinished_ones_removed(tmp_path: Path) -> None:
    for step in (1, 2, 3, 10):
        _save(tmp_path, step)
    (tmp_path / ".step-00011").mkdir()
    prune_saves(tmp_path, 10)
    assert _names(tmp_path) == ["step-00003", "step-00010"]
    assert [step for step, _ in saves(tmp_path)] == [10, 3]


def test_saves_of_a_later_segment_drive_no_earlier_one_out(tmp_path: Path) -> None:
    """A checkpoint may be added, or made again, before those that later saves lead to."""
    for step in (3, 5, 20, 30):
        _save(tmp_path, step)
    prune_saves(tmp_path, 5)
    assert _names(tmp_path) == ["step-00003", "step-00005", "step-00020", "step-00030"]


def test_a_finished_checkpoint_clears_the_saves_that_led_to_it(tmp_path: Path) -> None:
    work = tmp_path / "work"
    _save(work, 5)
    _save(work, 9)
    clear_saves(work, 7)
    assert _names(work) == ["step-00009"]
    clear_saves(work, 9)
    assert not work.exists()
