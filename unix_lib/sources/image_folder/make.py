"""The `image_folder` source: a user's images and captions to records.

First every row and header is looked at and the held-out split is chosen among what passes; then the images are
decoded, a window of them at a time, in the order of the rows.
"""

import itertools
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unix_lib.artefacts.files import sha256_of
from unix_lib.artefacts.manifest import Manifest
from unix_lib.images.files import EXTENSIONS, BadImage, check_header, prepare
from unix_lib.jobs.job import Job
from unix_lib.records.rejected import REJECTED_FILE, RejectedSamples
from unix_lib.records.schema import IMAGE_TEXT, SOURCE_RECORD
from unix_lib.records.shards import ShardWriter
from unix_lib.sources.errors import SourceError
from unix_lib.sources.image_folder.captions import MALFORMED, is_file, read_captions
from unix_lib.sources.split import choose_held_out_keys

MISSING = "caption without image"
UNCAPTIONED = "image without caption"
EMPTY_CAPTION = "empty caption"
OUTSIDE = "path outside the folder"

WINDOW = 256  # images in memory at a time

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """A row whose image exists and has an acceptable header."""

    sample_id: str
    origin: str
    path: Path
    caption: str
    content: str  # sha256 of the file: copies of an image fall into the same split


def find_candidates(settings: dict[str, Any], rejected: RejectedSamples) -> list[Candidate]:
    """Rows that may become records; all others are set aside.

    Raises:
        SourceError: no such folder or caption file.
    """
    folder, captions = Path(settings["folder"]), Path(settings["captions"])
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such folder; set 'folder' to where the images are")
    root = folder.resolve()
    candidates: list[Candidate] = []
    named: set[Path] = set()
    contents: dict[Path, str] = {}
    seen: dict[str, int] = {}
    for row in read_captions(captions, root):
        origin = f"{captions.name}:{row.line}"
        seen[row.image] = seen.get(row.image, 0) + 1
        sample_id = row.image or f"row-{row.line}"
        if seen[row.image] > 1 and row.image:
            sample_id += f"#{seen[row.image]}"
        path = _resolved(root / row.image)
        named.add(path)
        if row.fault is not None:
            rejected.add(sample_id, origin, MALFORMED, row.fault)
        elif not path.is_relative_to(root):
            rejected.add(sample_id, origin, OUTSIDE, row.image)
        elif not is_file(path):
            rejected.add(sample_id, origin, MISSING, f"no file {row.image or '(empty name)'} in {folder}")
        elif not row.caption:
            rejected.add(sample_id, origin, EMPTY_CAPTION)
        else:
            try:
                check_header(path, settings["max_pixels"], settings["max_aspect_ratio"])
            except BadImage as error:
                rejected.add(sample_id, origin, error.reason, error.detail)
                continue
            if path not in contents:
                contents[path] = sha256_of(path)
            candidates.append(Candidate(sample_id, origin, path, row.caption, contents[path]))
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() in EXTENSIONS and path.is_file() and path.resolve() not in named:
            name = path.relative_to(root).as_posix()
            rejected.add(name, name, UNCAPTIONED, f"no row in {captions.name} names it")
    return candidates


def decoded(
    candidates: list[Candidate], image_size: int, threads: int, rejected: RejectedSamples
) -> Iterator[tuple[Candidate, bytes]]:
    """Candidates with their prepared PNG bytes, in order; undecodable ones are set aside."""

    def one(candidate: Candidate) -> bytes | BadImage:
        try:
            return prepare(candidate.path, image_size)
        except BadImage as error:
            return error

    done, waiting = 0, iter(candidates)
    with ThreadPoolExecutor(threads) as pool:  # Pillow decodes and resizes without holding the interpreter's lock
        while window := list(itertools.islice(waiting, WINDOW)):
            for candidate, result in zip(window, pool.map(one, window), strict=True):
                if isinstance(result, BadImage):
                    rejected.add(candidate.sample_id, candidate.origin, result.reason, result.detail)
                else:
                    yield candidate, result
            done += len(window)
            _log.info("%d of %d images", done, len(candidates))


def make_image_folder(job: Job) -> Manifest:
    """Make an `image_folder` source.

    Raises:
        SourceError: no folder, no caption file, or nothing usable in them.
    """
    settings, name = job.settings, job.recipe.name
    rejected = RejectedSamples()
    candidates = find_candidates(settings, rejected)
    if len({candidate.content for candidate in candidates}) < 2:
        raise _too_few(job, rejected)
    held_out = choose_held_out_keys((c.content for c in candidates), settings["heldout_share"], settings["seed"], name)
    size, threads = settings["image_size"], job.execution.get("job", {}).get("threads", 1)
    files: dict[str, int | None] = {}
    with (
        ShardWriter(job.folder, "train", SOURCE_RECORD) as train,
        ShardWriter(job.folder, "heldout", SOURCE_RECORD) as heldout,
    ):
        for candidate, image in decoded(candidates, size, threads, rejected):
            (heldout if candidate.content in held_out else train).write(
                {
                    "sample_id": candidate.sample_id,
                    "kind": IMAGE_TEXT,
                    "text": candidate.caption,
                    "image": image,
                    "width": size,
                    "height": size,
                    "source": name,
                }
            )
    if not train.rows or not heldout.rows:
        raise _too_few(job, rejected)
    files |= train.files | heldout.files | rejected.write(job.folder)
    facts = {"train_records": train.rows, "heldout_records": heldout.rows}
    return job.finish(files, rejected=rejected.counts, facts=facts)


def _too_few(job: Job, rejected: RejectedSamples) -> SourceError:
    """The error of a source without enough usable images; what was set aside is written down first."""
    rejected.write(job.folder)
    reasons = ", ".join(f"{count} x {reason}" for reason, count in rejected.counts.items()) or "no rows"
    return SourceError(
        f"sources.{job.recipe.name}: too few usable images for a training and a held-out split in "
        f"{job.settings['folder']} with {job.settings['captions']} ({reasons}); mend them, add images, or raise "
        f"heldout_share; every rejected sample is in {job.folder / REJECTED_FILE}"
    )


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):  # a loop of links, a name that no file can have
        return path.absolute()
