"""Finished artefacts of records, images and codes, written by hand for the jobs that read them."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from unix_lib.artefacts.manifest import write_manifest
from unix_lib.records.shards import SPLITS, ShardWriter

DIGEST = "0" * 12


def write_splits(
    results: Path,
    artefact: str,
    schema: pa.Schema,
    train: list[dict[str, Any]],
    heldout: list[dict[str, Any]] | None = None,
) -> str:
    """Write both splits and a manifest of "stage/name"; returns "stage/name-digest", as recipes give it."""
    folder = results / f"{artefact}-{DIGEST}"
    files: dict[str, int | None] = {}
    for split, rows in zip(SPLITS, (train, heldout or []), strict=True):
        with ShardWriter(folder, split, schema) as writer:
            for row in rows:
                writer.write(row)
        files |= writer.files
    write_manifest(folder, DIGEST, files)
    return f"{artefact}-{DIGEST}"
