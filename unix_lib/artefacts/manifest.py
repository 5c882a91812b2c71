"""Manifests: what a job made, written as its last act, and checked by whoever reads it.

`content` is the artefact's identity: two runs are identical when their content digests agree.
`provenance` says how it came about and is no part of the identity. It also holds the hashes of files that don't repeat,
such as speeds. A seal over the whole text proves it.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import digest_of, file_fault, flush, sha256_of, write_text
from unix_lib.artefacts.provenance import provenance_now
from unix_lib.artefacts.sealed import SEAL, is_sealed, sealed_text

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
SHARED = "shared_from"  # key of the provenance: folders, the last one that whose files these are
# Larger files are checked by size when read, and by hash only in `verify`: hashing a terabyte of packs before
# every training job would cost more than it saves.
HASHED_WHEN_READ = 256 * 1024 * 1024


class ArtefactError(UserError):
    """A missing or damaged artefact; the message names the file and the remedy."""


Facts = dict[str, Any]  # results small enough to read at a glance, as JSON
KEYS = {"artefact", "content", "content_digest", "provenance", SEAL}
# In place of what can't be believed, or was not recorded by an earlier version.
NOTHING_KNOWN: dict[str, Any] = {
    "code": {}, "packages": {}, "host": "unknown", "processor": {}, "finished": "", "wall_seconds": None,
    "execution": {}, "metrics": {},
}  # fmt: skip


@dataclass(frozen=True)
class FileEntry:
    """One output file: path relative to the artefact's folder."""

    path: str
    bytes: int
    sha256: str
    rows: int | None = None


@dataclass(frozen=True)
class Manifest:
    """What one job made."""

    artefact: str  # stage/name-digest
    recipe: str  # the recipe's full digest
    files: list[FileEntry]
    rejected: dict[str, int] = field(default_factory=dict)  # reason -> samples set aside
    facts: Facts = field(default_factory=dict)  # hashed
    provenance: dict[str, Any] = field(default_factory=dict)
    sealed: bool | None = None  # whether all of it is as it was written; None of an earlier version, without a seal

    @property
    def beside(self) -> list[FileEntry]:
        """Files that are no part of the identity, and may be missing."""
        return [FileEntry(**entry) for entry in self.provenance.get("beside", [])]

    @property
    def content(self) -> dict[str, Any]:
        return {
            "recipe": self.recipe,
            "files": [vars(entry) for entry in self.files],
            "rejected": self.rejected,
            "facts": self.facts,
        }

    @property
    def digest(self) -> str:
        """The artefact's identity: SHA-256 of its content, hexadecimal."""
        return digest_of(self.content)


def write_manifest(
    folder: Path,
    recipe_digest: str,
    files: dict[str, int | None],
    *,
    rejected: dict[str, int] | None = None,
    facts: Facts | None = None,
    metrics: dict[str, Any] | None = None,
    execution: dict[str, Any] | None = None,
    wall_seconds: float | None = None,
    beside: Sequence[str] = (),
) -> Manifest:
    """Flush the job's files to disk, hash them and write the manifest, last.

    Args:
        folder: the artefact's folder, `results/<experiment>/<stage>/<name>-<digest>`.
        files: path relative to `folder` -> number of rows, or None where rows mean nothing.
        rejected: reason -> samples set aside.
        facts: small reproducible results; part of the identity.
        metrics: small measurements that need not repeat (speed, memory); provenance.
        execution: numeric and operational settings in force; provenance, like the job's wall time.
        beside: files whose bytes need not repeat; their hashes are provenance.
    """
    provenance = provenance_now(execution=execution or {}, metrics=metrics or {}, wall_seconds=wall_seconds)
    provenance["beside"] = [vars(_entry(folder, name, None)) for name in sorted(beside)]
    manifest = Manifest(
        artefact=f"{folder.parent.name}/{folder.name}",
        recipe=recipe_digest,
        files=[_entry(folder, name, rows) for name, rows in sorted(files.items())],
        rejected=dict(sorted((rejected or {}).items())),
        facts=facts or {},
        provenance=provenance,
        sealed=True,
    )
    _write(folder, manifest)
    return manifest


def write_shared(folder: Path, manifest: Manifest, origin: Path) -> None:
    """Write the manifest of an artefact that another one's files were linked to; its provenance says which one's.

    Its content, and so its identity, is the other's.
    """
    shared_from = [*manifest.provenance.get(SHARED, []), str(origin)]
    _write(folder, replace(manifest, provenance=manifest.provenance | {SHARED: shared_from}))


def _write(folder: Path, manifest: Manifest) -> None:
    values = {
        "artefact": manifest.artefact,
        "content": manifest.content,
        "content_digest": manifest.digest,
        "provenance": manifest.provenance,
    }
    write_text(folder / MANIFEST, sealed_text(values))


def _entry(folder: Path, name: str, rows: int | None) -> FileEntry:
    flush(folder / name)
    return FileEntry(name, (folder / name).stat().st_size, sha256_of(folder / name), rows)


def read_manifest(folder: Path) -> Manifest:
    """Parse a manifest and check its own digest; its files are not looked at.

    Where the content is proven and the rest is not as it was written, nothing is believed of where it came from, and
    that is said in a warning: the artefact itself is whole.

    Raises:
        ArtefactError: missing, unreadable, or altered after it was written.
    """
    path = folder / MANIFEST
    remedy = f"delete {folder} and run again; `unix-lib verify` lists all damage"
    try:
        text = path.read_bytes().decode()
        values = json.loads(text)
        content = values["content"]
        manifest = Manifest(
            artefact=values["artefact"],
            recipe=content["recipe"],
            files=[FileEntry(**entry) for entry in content["files"]],
            rejected=content["rejected"],
            facts=content["facts"],
            provenance=NOTHING_KNOWN | values["provenance"],
            sealed=is_sealed(text, values) if values.keys() <= KEYS else False,
        )
        whole = manifest.digest == values["content_digest"]
    except FileNotFoundError:
        raise ArtefactError(
            f"{path}: no manifest, so this artefact was never finished; run the workflow again"
        ) from None
    except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise ArtefactError(f"{path}: unreadable manifest ({error}); {remedy}") from None
    if not whole:
        raise ArtefactError(f"{path}: manifest was altered after it was written; {remedy}")
    if manifest.sealed is False:
        logger.warning("%s: its provenance was altered, and is not believed", path)
        return replace(manifest, provenance=NOTHING_KNOWN)
    return manifest


def check_file(folder: Path, entry: FileEntry) -> str | None:
    """What is wrong with a file of an artefact, or None; of a large one only the size is looked at."""
    return file_fault(folder / entry.path, entry.bytes, entry.sha256 if entry.bytes <= HASHED_WHEN_READ else None)


def open_artefact(folder: Path) -> Manifest:
    """Read a manifest and check the artefact's files before they are used.

    Raises:
        ArtefactError: names the first damaged file and the remedy.
    """
    manifest = read_manifest(folder)
    for entry in manifest.files:
        fault = check_file(folder, entry)
        if fault is not None:
            raise ArtefactError(f"{fault}; delete {folder} and run again, or restore it with `dvc checkout`")
    return manifest


def has_beside(folder: Path, manifest: Manifest, name: str) -> bool:
    """Whether a file beside the artefact's own is there.

    Raises:
        ArtefactError: it is damaged.
    """
    if not (folder / name).exists():
        return False
    for entry in manifest.beside:
        fault = check_file(folder, entry) if entry.path == name else None
        if fault is not None:
            raise ArtefactError(f"{fault}; delete this file and run again, which goes on without it")
    return True
