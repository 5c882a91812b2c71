"""Re-hash everything below a results folder that is ever believed: mtimes and file modes prove nothing.

What proves a file: an artefact's manifest, whose provenance also lists the files that don't repeat (the report's page,
speeds); the seal of a folder (training states, what a killed job resumes from) or of a file (execution settings,
caches, how a checkpoint samples); for a recipe the digest in its name. A file that nothing proves is named as such.
"""

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import PARTS, file_fault
from unix_lib.artefacts.manifest import MANIFEST, read_manifest
from unix_lib.artefacts.recipe import EarlierRecipe, read_recipe
from unix_lib.artefacts.sealed import HASHES, SEALED_FILES, SealError, open_sealed, read_seal

LEFT_OUT = ".dvcignore"  # in results/<experiment>: folders that stay where they were made, a pattern a line
# What is not looked at below `results/<experiment>`, and why.
NOT_COVERED = {
    "logs/*": "for people; nothing reads them",
    "benchmarks/*": "Snakemake's times and memory, for people; nothing reads them",
    "current/*": "links to artefacts, set anew by every run",
    "made/*": "Snakemake's markers; a manifest decides what is made",
    LEFT_OUT: "what stays out of DVC, kept in git",
    "planned.json": "what DVC compares; every run and `dvc repro` writes it anew",
    "preview/*": "figures of an unfinished run, for people; nothing reads them",
    "summary/*": "kept in git, which hashes it",
    "tracking/*": "curves as trackers keep them, for people; nothing reads them",
    "work/*/*/asked/*.jsonl": "an endpoint's answers so far; each line proves itself when it is read",
    "*.lock": "who writes at the moment; unreadable counts as nobody",
}
POLL_SECONDS = 0.2


@dataclass
class Verification:
    """What was checked and what was wrong."""

    artefacts: int = 0
    files: int = 0  # to be hashed, and so far
    hashed_files: int = 0
    bytes: int = 0
    hashed_bytes: int = 0
    faults: list[str] = field(default_factory=list)
    unproven: list[str] = field(default_factory=list)  # files that nothing proves, a line each; no damage


def finished_artefacts(results: Path) -> list[Path]:
    """Folders with a manifest, `results/<experiment>/<stage>/<name>-<digest>`, in a fixed order."""
    return sorted(
        p.parent for p in results.glob(f"*/*/{MANIFEST}") if p.parent.parent.name not in ("current", "recipes")
    )


def verify(results: Path, progress: Callable[[Verification], None] = lambda so_far: None) -> Verification:
    """Check every file of `results/<experiment>` but `NOT_COVERED`, as many at a time as there are cores.

    Args:
        progress: told now and then what was done so far.

    Raises:
        UserError: there is no such folder, or nothing to check in it.
    """
    if not results.is_dir():
        raise UserError(f"{results}: no such results folder; give results/<experiment>")
    inventory = _Inventory(results)
    found = inventory.found
    for folder in finished_artefacts(results):
        inventory.add_artefact(folder)
    if not found.artefacts and not any(results.glob("recipes/*/*.json")):
        raise UserError(f"{results}: no finished artefact in it; give results/<experiment>, of an experiment that ran")
    for hashes in sorted(results.glob(f"work/**/{HASHES}")):
        inventory.add_sealed(hashes.parent)
    inventory.add_others()
    _hash(inventory.expected, found, progress)
    return found


def stays_elsewhere(below: str, patterns: Iterable[str]) -> bool:
    """Whether a file, by its path below the results, is one that a list of what is `LEFT_OUT` names."""
    return any(fnmatch(f"/{below}", f"{pattern}*") for pattern in patterns)


class _Inventory:
    """The files of an experiment, and what proves them."""

    def __init__(self, results: Path) -> None:
        self.results, self.found = results, Verification()
        self.expected: dict[Path, tuple[int, str]] = {}  # bytes and SHA-256 of what is to be hashed
        self._seen: set[Path] = set()
        listed = results / LEFT_OUT
        lines = listed.read_text(encoding="utf-8").splitlines() if listed.is_file() else []
        self._left_out = [line for line in lines if line.startswith("/")]

    def add_artefact(self, folder: Path) -> None:
        """An artefact's files, and the sealed folders in it."""
        self.found.artefacts += 1
        self._seen.add(folder / MANIFEST)
        try:
            manifest = read_manifest(folder)
        except (UserError, PermissionError) as error:
            self._fault(str(error), folder)
            return
        if not folder.name.endswith(manifest.recipe[:12]):
            self._fault(f"{folder}: its manifest follows recipe {manifest.recipe[:12]}; delete the folder", folder)
            return
        if manifest.sealed is False:
            self._fault(f"{folder / MANIFEST}: altered after it was written; only the artefact's content is whole")
        elif manifest.sealed is None:
            self.found.unproven.append(f"{folder / MANIFEST}: its provenance; of an earlier version, without a seal")
        for entry in manifest.files:
            path = folder / entry.path
            below = path.relative_to(self.results).as_posix()
            if not path.parent.exists() and stays_elsewhere(below, self._left_out):
                self.found.unproven.append(f"{path}: not here; it stays where it was made")
            else:
                self.expected[path] = entry.bytes, entry.sha256
        for entry in manifest.beside:
            if (folder / entry.path).exists():
                self.expected[folder / entry.path] = entry.bytes, entry.sha256
            else:
                self.found.unproven.append(f"{folder / entry.path}: missing; the artefact is whole without it")
        for hashes in sorted(folder.rglob(HASHES)):
            self.add_sealed(hashes.parent)

    def add_sealed(self, folder: Path) -> None:
        """The files of a sealed folder."""
        self._seen.add(folder / HASHES)
        try:
            self.expected |= read_seal(folder)
        except (SealError, PermissionError) as error:
            self._fault(str(error), folder)

    def add_others(self) -> None:
        """Recipes and sealed files; all that is left is unproven."""
        self._seen |= {Path(os.path.normpath(path)) for path in self.expected}
        lines: dict[str, None] = {}  # each once
        for path in sorted(self.results.rglob("*")):
            below = path.relative_to(self.results)
            if path in self._seen or not path.is_file() or any(fnmatch(below.as_posix(), each) for each in NOT_COVERED):
                continue
            try:
                if below.parts[0] == "recipes" and not path.name.endswith(".execution.json"):
                    _check_recipe(path)
                elif path.suffix not in SEALED_FILES or not open_sealed(path, "delete it, it is written anew")[1]:
                    lines[self._why_unproven(path, below)] = None
            except FileNotFoundError:
                continue  # of a job that runs
            except UserError as error:
                self.found.faults.append(str(error))
        self.found.unproven += lines

    def _why_unproven(self, path: Path, below: Path) -> str:
        if fnmatch(path.name, PARTS):
            return f"{path}: left by a process that was killed; nothing reads it"
        artefact = self.results.joinpath(*below.parts[:2])
        if below.parts[0] not in ("recipes", "work") and artefact.is_dir() and not (artefact / MANIFEST).is_file():
            return f"{artefact}: never finished"
        return f"{path}: neither in a manifest nor sealed"

    def _fault(self, fault: str, folder: Path | None = None) -> None:
        """Note a fault; with a folder, one that leaves nothing to say of its files."""
        self.found.faults.append(fault)
        if folder is not None:
            self._seen.update(folder.rglob("*"))


def _check_recipe(path: Path) -> None:
    try:
        recipe = read_recipe(path)
    except EarlierRecipe:
        return  # its artefact is checked like any other
    if path.read_bytes() != recipe.text.encode():
        raise UserError(f"{path}: not as it was written; delete it, it is written anew")


def _hash(expected: dict[Path, tuple[int, str]], found: Verification, progress: Callable[[Verification], None]) -> None:
    """Hash what is expected, the largest files first, so that none of them is waited for at the end."""
    found.files, found.bytes = len(expected), sum(size for size, _ in expected.values())
    counting, stopped, finished = threading.Lock(), threading.Event(), threading.Event()

    def advance(size: int) -> None:
        if stopped.is_set():
            raise InterruptedError
        with counting:
            found.hashed_bytes += size

    def fault_of(path: Path) -> str | None:
        try:
            return file_fault(path, *expected[path], advance)
        except PermissionError as error:
            return str(error)
        finally:
            with counting:
                found.hashed_files += 1
            if found.hashed_files == found.files:
                finished.set()

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:  # hashing lets go of the interpreter's lock
        faults = pool.map(fault_of, sorted(expected, key=lambda path: -expected[path][0]))
        try:
            while expected and not finished.wait(POLL_SECONDS):
                progress(found)
        except BaseException:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        found.faults += sorted(fault for fault in faults if fault is not None)
    progress(found)
