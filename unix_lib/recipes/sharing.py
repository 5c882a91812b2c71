"""Links what another experiment has made from the same recipe instead of making it again.

A store is a folder of experiments, as `results/` is, or one experiment's; it may be a colleague's, read-only. An
artefact of the same recipe is believed there as little as anywhere: its files get a second name here (on another disk
they are copied), and every byte of them is hashed before the manifest is written, which says in its provenance where
they came from. What does not hold is left, said, and made anew. Nothing is written into a store; a job that makes an
artefact anew first takes away names that lead there.
"""

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import file_fault, link_or_copy
from unix_lib.artefacts.manifest import MANIFEST, ArtefactError, FileEntry, read_manifest, write_shared
from unix_lib.artefacts.sealed import HASHES, is_whole, read_seal, remove
from unix_lib.jobs.job import lock_path
from unix_lib.jobs.lock import Lock
from unix_lib.recipes.plan import Plan

NOT_SHARED = ("report",)  # stages: its page says when and where it was made

logger = logging.getLogger(__name__)


def shareable(plan: Plan, results: Path) -> dict[str, list[Path]]:
    """Unfinished artefacts of a plan that stores have manifests of: their folders there, which nobody checked yet."""
    experiments = _experiments(plan, results)
    found = {
        artefact: [folder / artefact for folder in experiments if (folder / artefact / MANIFEST).is_file()]
        for artefact, job in plan.jobs.items()
        if job.recipe.stage not in NOT_SHARED and not (results / artefact / MANIFEST).is_file()
    }
    return {artefact: folders for artefact, folders in found.items() if folders}


def share(plan: Plan, results: Path) -> list[str]:
    """Link what stores have of a plan's unfinished artefacts; returns those that are there and whole now.

    What is not whole in any store is named in a warning, and still to be made.
    """
    taken = []
    for artefact, origins in shareable(plan, results).items():
        for origin in origins:
            try:
                with Lock(lock_path(results / "work" / artefact), wait=False):
                    take(plan.jobs[artefact].recipe.digest, origin, results / artefact)
            except (UserError, OSError) as error:
                logger.warning("not shared: %s", error)
            else:
                logger.info("%s is that of %s", artefact, origin)
                taken.append(artefact)
                break
    return taken


def _experiments(plan: Plan, results: Path) -> list[Path]:
    """Folders of experiments in a config's stores, in its order, this experiment's own left out."""
    stores = [Path(store).expanduser() for store in plan.experiment.stores]
    found = [folder for store in stores for folder in (store, *sorted(store.glob("*"))) if folder.is_dir()]
    own = results.resolve()
    return [folder for folder in dict.fromkeys(found) if folder.resolve() != own]


def take(digest: str, origin: Path, folder: Path) -> None:
    """Link or copy an artefact's files, check them, and write its manifest; `digest` is of its recipe.

    Raises:
        ArtefactError: it is another recipe's, or a file of it is not whole; nothing is left here then.
    """
    manifest = read_manifest(origin)
    if (manifest.recipe, manifest.artefact) != (digest, f"{folder.parent.name}/{folder.name}"):
        raise ArtefactError(f"{origin / MANIFEST}: follows another recipe")
    remove(folder)
    try:
        faults = _place(manifest.files, origin, folder)
        if faults:
            raise ArtefactError(faults[0].replace(str(folder), str(origin)))
        for entry in manifest.beside:  # the artefact is whole without them
            if _place([entry], origin, folder):
                (folder / entry.path).unlink(missing_ok=True)
        for hashes in sorted(origin.rglob(HASHES)):
            _place_sealed(hashes.parent, folder / hashes.parent.relative_to(origin))
        write_shared(folder, manifest, origin.resolve())
    except BaseException:
        remove(folder)
        raise


def _place(entries: list[FileEntry], origin: Path, folder: Path) -> list[str]:
    """Link or copy files, hash what came; returns what is wrong with them."""

    def fault_of(entry: FileEntry) -> str | None:
        path = PurePosixPath(entry.path)
        if path.is_absolute() or ".." in path.parts:
            return f"{folder / path}: lies outside the artefact"
        try:
            link_or_copy(origin / path, folder / path)
        except FileNotFoundError:
            return f"{folder / path}: missing"
        return file_fault(folder / path, entry.bytes, entry.sha256)

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:  # hashing lets go of the interpreter's lock
        return [fault for fault in pool.map(fault_of, entries) if fault is not None]


def _place_sealed(origin: Path, folder: Path) -> None:
    """Link or copy a sealed folder of an artefact, such as a training state, where it is whole."""
    if is_whole(origin):
        for path in (*read_seal(origin), origin / HASHES):
            if path.is_relative_to(origin):
                link_or_copy(path, folder / path.relative_to(origin))
        if not is_whole(folder):
            remove(folder)
