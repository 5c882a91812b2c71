"""Which state a segment starts from, and which saves stay. The files are small stand-ins for DeepSpeed's."""

import shutil
from pathlib import Path

import pytest

from tests.artefacts.damage import DAMAGES, damage
from unix_lib.artefacts.manifest import MANIFEST, write_manifest
from unix_lib.artefacts.sealed import HASHES, seal
from unix_lib.train import state
from unix_lib.train.state import Best, Progress

DIGEST = "ab" * 32


def _state(folder: Path, step: int, **progress: object) -> Path:
    (folder / state.DEEPSPEED).mkdir(parents=True)
    (folder / state.DEEPSPEED / "weights.pt").write_bytes(bytes(range(step, step + 50)))
    state.write_progress(folder, Progress(step=step, packs=2 * step, **progress))  # type: ignore[arg-type]
    seal(folder)
    return folder


def _checkpoint(results: Path, step: int, digest: str = DIGEST) -> Path:
    folder = results / "train" / f"run-step-{step:05d}-{digest[:12]}"
    _state(folder / "state", step)
    write_manifest(folder, "0" * 64, {}, facts={"run_digest": digest, "step": step})
    return folder


def _save(results: Path, step: int) -> Path:
    return _state(state.work_folder(results, "run", DIGEST) / f"step-{step:05d}", step)


def _newest(results: Path, step: int) -> int | None:
    found = state.newest_state(results, "run", DIGEST, step)
    return None if found is None else found.progress.step


def test_the_newest_state_up_to_the_step_of_checkpoints_and_saves(tmp_path: Path) -> None:
    assert _newest(tmp_path, 100) is None
    for step in (10, 30):
        _checkpoint(tmp_path, step)
    _save(tmp_path, 25)
    assert [_newest(tmp_path, step) for step in (9, 10, 24, 25, 29, 30, 99)] == [None, 10, 10, 25, 25, 30, 30]


def test_states_of_other_settings_are_another_run(tmp_path: Path) -> None:
    _checkpoint(tmp_path, 10, digest="cd" * 32)
    assert _newest(tmp_path, 20) is None


def test_a_checkpoint_without_manifest_is_not_finished(tmp_path: Path) -> None:
    _checkpoint(tmp_path, 10)
    (_checkpoint(tmp_path, 20) / MANIFEST).unlink()
    assert _newest(tmp_path, 30) == 10


@pytest.mark.parametrize("how", [*DAMAGES, "sealed so"])
@pytest.mark.parametrize("file", [f"{state.DEEPSPEED}/weights.pt", state.PROGRESS, HASHES])
@pytest.mark.parametrize("of", ["save", "checkpoint"])
def test_a_damaged_state_is_skipped_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, of: str, file: str, how: str
) -> None:
    _checkpoint(tmp_path, 10)
    newest = _save(tmp_path, 20) if of == "save" else _checkpoint(tmp_path, 20) / "state"
    if how == "sealed so":
        (newest / state.PROGRESS).write_text("[]", encoding="utf-8")
        seal(newest)
    else:
        damage(newest / file, how)
    assert _newest(tmp_path, 30) == 10
    assert f"damaged state skipped: {newest}" in caplog.text


def test_a_state_of_another_run_is_skipped_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    own, foreign = state.work_folder(tmp_path, "run", DIGEST), "ef" * 32
    _state(own / "step-00010", 10, run_digest=DIGEST)
    _state(own / "step-00020", 20, run_digest=foreign)
    assert _newest(tmp_path, 30) == 10
    said = f"{own / 'step-00020'}: a state of another run ({foreign[:12]}); it was put there by hand"
    assert caplog.messages == [f"damaged state skipped: {said}"]


def test_progress_survives_with_its_best_measurement(tmp_path: Path) -> None:
    best = Best(step=3, loss=0.1 + 0.2, tokens=77, worse=1)
    folder = _state(tmp_path / "s", 7, best=best, tokens=99, next_batch="f00")
    assert state.read_progress(folder) == Progress(step=7, packs=14, best=best, tokens=99, next_batch="f00")


def _superseded(results: Path, *due: int) -> list[int]:
    return [state.read_progress(folder).step for folder in state.superseded_states(results, "run", DIGEST, due)]


def test_a_state_is_superseded_when_nothing_starts_from_it(tmp_path: Path) -> None:
    assert _superseded(tmp_path, 5) == []
    for step in (10, 20, 30, 40):
        _checkpoint(tmp_path, step)
    _checkpoint(tmp_path, 50, digest="cd" * 32)
    assert _superseded(tmp_path) == [10, 20, 30]
    assert _superseded(tmp_path, 60) == [10, 20, 30]
    assert _superseded(tmp_path, 5) == [10, 20, 30]  # from the start: no state leads there
    assert _superseded(tmp_path, 25, 29) == [10, 30]
    # The newest whole state stays; a damaged one is for `verify` to name.
    (tmp_path / "train" / f"run-step-00040-{DIGEST[:12]}" / "state" / state.PROGRESS).write_text("[]")
    assert _superseded(tmp_path) == [10, 20]
    assert _superseded(tmp_path, 45) == [10, 20]


def test_a_pruned_state_is_gone_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folders = [_checkpoint(tmp_path, step) for step in (10, 20, 30)]
    state.prune_state(folders[1] / "state")
    assert not (folders[1] / "state").exists() and (folders[1] / state.PRUNED).is_file()
    assert (_newest(tmp_path, 30), caplog.messages) == (30, [])
    assert _newest(tmp_path, 29) == 10
    assert caplog.messages == [f"{folders[1] / 'state'} was pruned; training goes on from step 10 instead of 20"]


def test_a_state_that_is_gone_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _checkpoint(tmp_path, 10)
    gone = _checkpoint(tmp_path, 20) / "state"
    shutil.rmtree(gone)
    assert _newest(tmp_path, 30) == 10
    assert caplog.messages == [f"{gone} is gone; training goes on from step 10 instead of 20"]
