"""States: what a later process needs to go on exactly where an earlier one stopped.

One folder per state, the same inside a checkpoint's artefact (`state/`) and in a run's work folder
(`work/train/<run>-<run digest>/step-00123/`):

    deepspeed/          weights, optimizer state (a plain DeepSpeed checkpoint)
    config.json         of the model, so that nothing that the run began with is needed again
    random-00000.pt     random number generators, a file per process
    best.safetensors    best weights so far, where the run keeps the best
    log.parquet, heldout.parquet, progress.json
    hashes.json         sizes and SHA-256 of all of these, written last: without it the state does not exist

DeepSpeed's files are pickles whose bytes depend on the process's history, so they are kept out of the manifest and
checked here, before anything is unpickled. No torch in this module: finding out that nothing is left to do is quick.
"""

import json
import logging
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from unix_lib.artefacts.files import write_json, write_text
from unix_lib.artefacts.manifest import MANIFEST, ArtefactError, read_manifest
from unix_lib.artefacts.saves import saves
from unix_lib.artefacts.sealed import HASHES, seal_fault, sealed_text
from unix_lib.config.train import run_folder_name

logger = logging.getLogger(__name__)

PROGRESS, DEEPSPEED, BEST = "progress.json", "deepspeed", "best.safetensors"
LOG, HELDOUT = "log.parquet", "heldout.parquet"
STATE = "state"  # its folder in a checkpoint
PRUNED = "state.pruned"  # left in a checkpoint whose state was removed on purpose


@dataclass(frozen=True)
class Best:
    """The best held-out loss so far, of a run that keeps the best weights."""

    step: int
    loss: float
    tokens: int
    worse: int = 0  # measurements in a row since then that were not better


@dataclass(frozen=True)
class Numerics:
    """What the layout of DeepSpeed's files depends on; no result does but for rounding."""

    world_size: int = 1
    zero_stage: int = 0
    precision: str = "float32"

    def __str__(self) -> str:
        return f"ZeRO stage {self.zero_stage}, {self.precision} and {self.world_size} process(es)"


@dataclass(frozen=True)
class Progress(Numerics):
    """Where a run stands. `packs` is the sampler's whole state."""

    step: int = 0
    packs: int = 0  # consumed, over all processes
    tokens: int = 0  # real tokens trained on
    best: Best | None = None
    next_batch: str = ""  # fingerprint of the next step's packs
    run_digest: str = ""  # of the run that it is of; states of an earlier version don't say

    @property
    def numerics(self) -> Numerics:
        """How it was computed."""
        return Numerics(self.world_size, self.zero_stage, self.precision)


@dataclass(frozen=True)
class State:
    """A state whose files were checked."""

    folder: Path
    progress: Progress = field(compare=False)


def work_folder(results: Path, run: str, run_digest: str) -> Path:
    """Where a run's saves between checkpoints go; no declared output, so that a failed job leaves it alone."""
    return results / "work" / "train" / run_folder_name(run, run_digest)


def write_progress(folder: Path, progress: Progress) -> None:
    write_json(folder / PROGRESS, asdict(progress))


def read_progress(folder: Path) -> Progress:
    values = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
    best = values.pop("best")
    return Progress(best=None if best is None else Best(**best), **values)


def fault_of(folder: Path, run_digest: str) -> str | None:
    """What is wrong with a state's files, or with its lying where a run's do, or None."""
    fault = seal_fault(folder)
    if fault is not None:
        return fault
    try:
        progress = read_progress(folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{folder / PROGRESS}: unreadable ({error})"
    if progress.run_digest not in ("", run_digest):
        return f"{folder}: a state of another run ({progress.run_digest[:12]}); it was put there by hand"
    return None


def _checkpoints(results: Path, run: str, run_digest: str) -> Iterator[tuple[int, Path]]:
    """Steps and folders of the finished checkpoints of the same run."""
    for manifest in (results / "train").glob(f"{run}-step-*/{MANIFEST}"):
        folder = manifest.parent
        try:
            facts = read_manifest(folder).facts
        except ArtefactError as error:
            logger.warning("skipped: %s", error)
            continue
        if facts.get("run_digest") == run_digest:
            yield int(facts["step"]), folder


def _states(results: Path, run: str, run_digest: str) -> list[tuple[int, Path]]:
    """Steps and states of a run's checkpoints, newest first."""
    found = _checkpoints(results, run, run_digest)
    return sorted(((at, folder / STATE) for at, folder in found if (folder / STATE).exists()), reverse=True)


def sealed_states(results: Path, run: str, run_digest: str) -> list[tuple[int, Path]]:
    """Steps and states of a run's checkpoints that were written to their end, newest first; no file is hashed."""
    return [(step, folder) for step, folder in _states(results, run, run_digest) if (folder / HASHES).is_file()]


def newest_state(results: Path, run: str, run_digest: str, step: int) -> State | None:
    """The newest whole state of a run at or before a step; None where the initialised model is the newest.

    `run_digest` is what all segments of the run share; a run of other settings is another run.
    """
    candidates = [*_states(results, run, run_digest), *saves(work_folder(results, run, run_digest))]
    found, start = None, 0
    for at, folder in sorted(candidates, key=lambda candidate: (candidate[0], str(candidate[1])), reverse=True):
        if at > step:
            continue
        fault = fault_of(folder, run_digest)
        if fault is None:
            found, start = State(folder, read_progress(folder)), at
            break
        logger.warning("damaged state skipped: %s", fault)
    # Every checkpoint before the run's last had a state, but for step 0.
    for at, folder in sorted(_checkpoints(results, run, run_digest)):
        if start < at < step and not (folder / STATE).exists():
            why = "was pruned" if (folder / PRUNED).exists() else "is gone"
            logger.warning("%s %s; training goes on from step %d instead of %d", folder / STATE, why, start, at)
    return found


def superseded_states(results: Path, run: str, run_digest: str, due: Iterable[int]) -> list[Path]:
    """States of a run's checkpoints that no checkpoint still to be made starts from, oldest first.

    The run's newest whole state is never among them, nor is a damaged one, which `verify` names. `due` are the steps of
    the checkpoints still to be made.
    """
    whole = [(at, folder) for at, folder in _states(results, run, run_digest) if fault_of(folder, run_digest) is None]
    kept = {folder for _, folder in whole[:1]}
    for step in due:
        kept.update([folder for at, folder in whole if at <= step][:1])
    return [folder for _, folder in reversed(whole) if folder not in kept]


def prune_state(folder: Path, by: str = "unix-lib prune --states") -> None:
    """Remove a checkpoint's state; its model, its logs and a mark that says by what stay."""
    write_text(folder.parent / PRUNED, sealed_text({"pruned": by}))
    (folder / HASHES).unlink()  # without it the state does not exist, whatever of it is left
    shutil.rmtree(folder)
