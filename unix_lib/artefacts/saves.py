"""Saves of a run that trains for long: a sealed folder per step, the newest whole one of which a killed job resumes."""

import shutil
from pathlib import Path

from unix_lib.artefacts.sealed import folder_before, remove

KEPT_SAVES = 2  # the newest save and one to fall back on


def save_folder(work: Path, step: int) -> Path:
    """Where the save after a step lies."""
    return work / f"step-{step:05d}"


def saves(work: Path) -> list[tuple[int, Path]]:
    """Steps and folders of the saves in a work folder, newest first."""
    steps = [(path.name.removeprefix("step-"), path) for path in work.glob("step-*")]
    return sorted(((int(step), path) for step, path in steps if step.isdecimal()), reverse=True)


def prune_saves(work: Path, step: int) -> None:
    """Remove unfinished saves and, of those up to a step that was just saved, all but the newest `KEPT_SAVES`.

    Later ones stay: they are of a later segment of the run, or damaged and in nobody's way.
    """
    for leftover in work.glob(folder_before(Path("step-*")).name):
        shutil.rmtree(leftover, ignore_errors=True)
    for _, folder in [save for save in saves(work) if save[0] <= step][KEPT_SAVES:]:
        remove(folder)


def clear_saves(work: Path, step: int) -> None:
    """Once the checkpoint at a step is finished: remove the saves that led to it, and the folder if none is left."""
    for at, folder in saves(work):
        if at <= step:
            remove(folder)
    if not saves(work):
        shutil.rmtree(work, ignore_errors=True)
