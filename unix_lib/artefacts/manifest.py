"""Manifests: what a job made, written as its last act, and checked by whoever reads it.

`content` is the artefact's identity: two runs are identical when their content digests agree.
`provenance` says how it came about and is never hashed.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import digest_of, flush, sha256_of, write_json
from unix_lib.artefacts.provenance import provenance_now

MANIFEST = "manifest.json"
# Larger files are checked by size when read, and by hash only in `verify`: hashing a terabyte of packs before
# every training job would cost more than it saves.
HASHED_WHEN_READ = 256 * 1024 * 1024


class ArtefactError(UserError):
    """A missing or damaged artefact; the message names the file and the remedy."""


Facts = dict[str, Any]  # results small enough to read at a glance, as JSON


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
) -> Manifest:
    """Flush the job's files to disk, hash them and write the manifest, last.

    Args:
        folder: the artefact's folder, `results/<experiment>/<stage>/<name>-<digest>`.
        files: path relative to `folder` -> number of rows, or None where rows mean nothing.
        rejected: reason -> samples set aside.
        facts: small reproducible results; part of the identity.
        metrics: small measurements that need not repeat (speed, memory); provenance.
        execution: numeric and operational settings in force; provenance, like the job's wall time.
    """
    for name in files:
        flush(folder / name)
    entries = [
        FileEntry(path=name, bytes=(folder / name).stat().st_size, sha256=sha256_of(folder / name), rows=rows)
        for name, rows in sorted(files.items())
    ]
    manifest = Manifest(
        artefact=f"{folder.parent.name}/{folder.name}",
        recipe=recipe_digest,
        files=entries,
        rejected=dict(sorted((rejected or {}).items())),
        facts=facts or {},
        provenance=provenance_now(execution=execution or {}, metrics=metrics or {}, wall_seconds=wall_seconds),
    )
    write_json(
        folder / MANIFEST,
        {
            "artefact": manifest.artefact,
            "content": manifest.content,
            "content_digest": manifest.digest,
            "provenance": manifest.provenance,
        },
    )
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Parse a manifest and check its own digest; its files are not looked at.

    Raises:
        ArtefactError: missing, unreadable, or altered after it was written.
    """
    path = folder / MANIFEST
    remedy = f"delete {folder} and run again; `unix-lib verify` lists all damage"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        content = values["content"]
        manifest = Manifest(
            artefact=values["artefact"],
            recipe=content["recipe"],
            files=[FileEntry(**entry) for entry in content["files"]],
            rejected=content["rejected"],
            facts=content["facts"],
            provenance=values["provenance"],
        )
        if not isinstance(manifest.provenance, dict):
            raise TypeError("its provenance is no mapping")
    except FileNotFoundError:
        raise ArtefactError(
            f"{path}: no manifest, so this artefact was never finished; run the workflow again"
        ) from None
    except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise ArtefactError(f"{path}: unreadable manifest ({error}); {remedy}") from None
    if manifest.digest != values.get("content_digest"):
        raise ArtefactError(f"{path}: manifest was altered after it was written; {remedy}")
    return manifest


def check_files(folder: Path, manifest: Manifest, *, hash_up_to: int | None = HASHED_WHEN_READ) -> list[str]:
    """Compare files with the manifest; returns one line per fault. `hash_up_to=None` hashes every file."""
    faults = []
    for entry in manifest.files:
        path = folder / entry.path
        if not path.is_file():
            faults.append(f"{path}: missing")
        elif path.stat().st_size != entry.bytes:
            faults.append(f"{path}: {path.stat().st_size} bytes, the manifest says {entry.bytes}")
        elif (hash_up_to is None or entry.bytes <= hash_up_to) and sha256_of(path) != entry.sha256:
            faults.append(f"{path}: content differs from its sha256 in the manifest")
    return faults


def open_artefact(folder: Path) -> Manifest:
    """Read a manifest and check the artefact's files before they are used.

    Raises:
        ArtefactError: names the first damaged file and the remedy.
    """
    manifest = read_manifest(folder)
    faults = check_files(folder, manifest)
    if faults:
        raise ArtefactError(f"{faults[0]}; delete {folder} and run again, or restore it with `dvc checkout`")
    return manifest
