"""Takes over codes that earlier artefacts of a source hold, so that no image is encoded again since a caption changed.

A source whose images lie among its captions has other files, and so another recipe, when a caption changes. Most of
its images are the same, and so are their codes where the image tokenizer and what decides the pixels are: those are
looked up by the image's name in what was made before, of this part of the source and of its neighbours, since files
that grow move the border between parts. An earlier artefact is believed only when all of its bytes are as its
manifest says.
"""

import glob
import logging
import re
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import file_fault
from unix_lib.artefacts.manifest import MANIFEST, ArtefactError, read_manifest
from unix_lib.artefacts.recipe import DIGEST_CHARACTERS, Recipe, recipe_of
from unix_lib.config.sources import shard_name
from unix_lib.records.shards import SPLITS, shard_paths
from unix_lib.sources.in_place.reading import Images

logger = logging.getLogger(__name__)


class EarlierCodes:
    """Codes by the names of images.

    Args:
        results: folder of the experiment's results.
        recipe: of the codes that are to be made.
        images: that they are made of.
    """

    def __init__(self, results: Path, recipe: Recipe, images: Images) -> None:
        self._found: list[_Codes] = []
        if "image_tokenizer" not in recipe.inputs:
            return
        for folder in _of_the_same_source(results, recipe):
            try:
                if _decides_the_same(recipe_of(folder), recipe, results, images):
                    _require_whole(folder)
                    self._found.append(_Codes(folder))
            except UserError as error:
                logger.warning("no codes taken over: %s", error)

    def of(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Codes, uint16 (C,), of those images that are known."""
        known: dict[str, np.ndarray] = {}
        for codes in self._found:
            if left := [name for name in names if name not in known]:
                known |= codes.of(left)
        return known


class _Codes:
    """The codes of one artefact, of which no more than names' hashes, 12 bytes an image, are kept in memory."""

    def __init__(self, folder: Path) -> None:
        self._groups: list[tuple[Path, int]] = []  # file and row group
        hashes, groups = [np.empty(0, np.uint64)], [np.empty(0, np.int32)]
        for path in (path for split in SPLITS for path in shard_paths(folder, split)):
            with pq.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    names = file.read_row_group(group, ["image_id"])["image_id"].to_pylist()
                    hashes.append(_hashes(names))
                    groups.append(np.full(len(names), len(self._groups), np.int32))
                    self._groups.append((path, group))
        order = np.argsort(np.concatenate(hashes), kind="stable")
        self._hashes, self._group_of = np.concatenate(hashes)[order], np.concatenate(groups)[order]

    def of(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        wanted = _hashes(names)
        places = np.searchsorted(self._hashes, wanted)
        there = places < len(self._hashes)
        there[there] = self._hashes[places[there]] == wanted[there]
        known: dict[str, np.ndarray] = {}
        for number in np.unique(self._group_of[places[there]]).tolist():
            path, group = self._groups[number]
            with pq.ParquetFile(path) as file:
                rows = file.read_row_group(group)
            rows = rows.filter(pc.is_in(rows["image_id"], value_set=pa.array(names, pa.string()))).combine_chunks()
            codes = pc.list_flatten(rows["image_codes"]).to_numpy().reshape(len(rows), -1)
            known |= zip(rows["image_id"].to_pylist(), codes, strict=True)
        return known


def _hashes(names: Sequence[str]) -> np.ndarray:
    digests = (blake2b(name.encode(), digest_size=8).digest() for name in names)
    return np.frombuffer(b"".join(digests), np.uint64)


def _of_the_same_source(results: Path, recipe: Recipe) -> list[Path]:
    """Finished artefacts of the same part of the source, and of those beside it, the newest first."""
    numbered = re.fullmatch(r"(.+)-(\d{4,})", recipe.name)  # as `shard_name` calls parts behind the first
    source, shard = (numbered[1], int(numbered[2])) if numbered else (recipe.name, 0)
    names = [shard_name(source, number) for number in (shard, shard - 1, shard + 1) if number >= 0]
    pattern = "-" + "[0-9a-f]" * DIGEST_CHARACTERS
    found: Iterator[Path] = (
        path for name in names for path in (results / recipe.stage).glob(f"{glob.escape(name)}{pattern}/{MANIFEST}")
    )
    own = results / recipe.artefact / MANIFEST
    newest = sorted((path for path in found if path != own), key=lambda path: (-path.stat().st_mtime_ns, path))
    return [path.parent for path in newest]


def _decides_the_same(earlier: Recipe, recipe: Recipe, results: Path, images: Images) -> bool:
    """Whether an image of one name has the same codes by both recipes."""
    same = ("kind", "logic_version", "settings")
    if any(getattr(earlier, name) != getattr(recipe, name) for name in same):
        return False
    if earlier.in_role("image_tokenizer") != recipe.in_role("image_tokenizer"):
        return False
    others = Images(results / earlier.in_role("images")[0], images.image_size)
    return (others.in_place, others.prepared_by) == (images.in_place, images.prepared_by)


def _require_whole(folder: Path) -> None:
    """Hash all files of an artefact.

    Raises:
        ArtefactError: one is not as its manifest says.
    """
    for entry in read_manifest(folder).files:
        fault = file_fault(folder / entry.path, entry.bytes, entry.sha256)
        if fault is not None:
            raise ArtefactError(f"{fault}; `unix-lib verify` lists all damage")
