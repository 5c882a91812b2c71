"""Re-hash everything below a results folder: mtimes and file modes prove nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import MANIFEST, check_files, read_manifest
from unix_lib.artefacts.recipe import EarlierRecipe, read_recipe
from unix_lib.artefacts.sealed import HASHES, seal_fault


@dataclass
class Verification:
    """What was checked and what was wrong."""

    artefacts: int = 0
    files: int = 0
    bytes: int = 0
    faults: list[str] = field(default_factory=list)


def finished_artefacts(results: Path) -> list[Path]:
    """Folders with a manifest, `results/<experiment>/<stage>/<name>-<digest>`, in a fixed order."""
    return sorted(
        p.parent for p in results.glob(f"*/*/{MANIFEST}") if p.parent.parent.name not in ("current", "recipes")
    )


def verify(results: Path, progress: Callable[[str], None] = lambda line: None) -> Verification:
    """Check every recipe of `results/<experiment>` against its name and every file against its manifest.

    `progress` is called with each artefact's name before it is hashed.

    Raises:
        UserError: there is no such folder, or nothing to check in it.
    """
    if not results.is_dir():
        raise UserError(f"{results}: no such results folder; give results/<experiment>")
    verification = Verification()
    for path in sorted(results.glob("recipes/*/*.json")):
        if path.name.endswith(".execution.json"):
            continue
        try:
            read_recipe(path)
        except EarlierRecipe:
            continue  # its artefact is checked like any other
        except UserError as error:
            verification.faults.append(str(error))
    for folder in finished_artefacts(results):
        progress(str(folder.relative_to(results)))
        verification.artefacts += 1
        try:
            manifest = read_manifest(folder)
        except UserError as error:
            verification.faults.append(str(error))
            continue
        if not folder.name.endswith(manifest.recipe[:12]):
            verification.faults.append(
                f"{folder}: its manifest follows recipe {manifest.recipe[:12]}; delete the folder"
            )
        verification.faults.extend(check_files(folder, manifest, hash_up_to=None))
        for sealed in sorted(folder.rglob(HASHES)):
            fault = seal_fault(sealed.parent)
            if fault is not None:
                verification.faults.append(f"{sealed.parent}: {fault}")
        verification.files += len(manifest.files)
        verification.bytes += sum(entry.bytes for entry in manifest.files)
    if not verification.artefacts and not verification.faults:
        raise UserError(f"{results}: no finished artefact in it; give results/<experiment>, of an experiment that ran")
    return verification
