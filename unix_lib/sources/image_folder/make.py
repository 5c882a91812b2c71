"""Makes an `image_folder` source: a user's images, prepared and split, and the records of their captions.

Both jobs read the captions. What is wrong with an image is told by the images' job, once for each file; what is
wrong with a row by the records' job, once for each row, a row whose image was set aside included.
"""

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from unix_lib.artefacts.files import atomic_path
from unix_lib.artefacts.manifest import Manifest
from unix_lib.config.file_hashes import UNREADABLE, FileHashes
from unix_lib.config.folders import files_below, is_regular
from unix_lib.config.jobs import Execution
from unix_lib.images.formats import EXTENSIONS
from unix_lib.jobs.job import Job
from unix_lib.records.rejected import REJECTED_FILE, RejectedSamples, encodable, reasons_in
from unix_lib.records.schema import IMAGE_TEXT, RECORD
from unix_lib.records.shards import ShardWriter
from unix_lib.sources.errors import SourceError
from unix_lib.sources.image_folder.decoding import ImageFile, decoded, with_good_headers
from unix_lib.sources.image_folder.kind import PlannedFolderImages, PlannedFolderRecords
from unix_lib.sources.image_folder.rows import EMPTY_CAPTION, MALFORMED, Naming, judged_rows
from unix_lib.sources.screening.screened import screened_out
from unix_lib.sources.writing import Files, ImageWriter, finish

SET_ASIDE = "image set aside"
UNCAPTIONED = "image without caption"
OF_CAPTIONS = (MALFORMED, EMPTY_CAPTION)  # found in files that the plan doesn't open

NAMES_FILE = "names.parquet"
NAMES = pa.schema(
    [
        pa.field("name", pa.string(), nullable=False),  # of a file below the folder, links followed
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),  # train | heldout
    ]
)


def make_images(job: Job[PlannedFolderImages, Execution]) -> Manifest:
    """Make a part of `sources/<source>-images`: images that usable rows name, and `names.parquet` with their names.

    Raises:
        SourceError: no folder, no caption file, or no usable image.
    """
    settings = job.settings
    rejected = RejectedSamples()
    files = _different_files(
        [Path(path) for path in settings.part(job.outside)], Path.cwd() / settings.folder, job.outside.hashes
    )
    files = with_good_headers(files, settings.max_pixels, settings.max_aspect_ratio, rejected)
    names: list[dict[str, str]] = []
    with ImageWriter(job.folder, "train") as train, ImageWriter(job.folder, "heldout") as heldout:
        for file, row in decoded(files, settings.image_size, job.shape.threads, rejected):
            writer = heldout if settings.held_out.holds_out(row["image_id"]) else train
            writer.write(row)
            names += [{"name": name, "image_id": row["image_id"], "split": writer.split} for name in file.names]
    if not names:
        raise _nothing_usable(job, rejected)
    with atomic_path(job.folder / NAMES_FILE) as temporary:
        pq.write_table(pa.Table.from_pylist(names, schema=NAMES), temporary, compression="zstd")
    written: Files = {**train.files, **heldout.files, NAMES_FILE: len(names)}
    return finish(job, written, {"train_images": train.rows, "heldout_images": heldout.rows}, rejected)


def make_records(job: Job[PlannedFolderRecords, Execution]) -> Manifest:
    """Make `sources/<source>`: a record for every row whose image could be used.

    Raises:
        SourceError: no folder or no caption file, or images that came or went after they were made.
    """
    settings, source = job.settings, job.recipe.name
    captions, naming = settings.captions_below(Path()), Naming(Path(settings.folder))
    root = naming.root
    images, set_aside = _images_by_name(job.inputs("images"))
    screened = screened_out(job.inputs("screening"))
    rejected = RejectedSamples()
    mentioned: set[str] = set()  # files, also by rows that can't be used
    named: set[str] = set()  # by rows that can
    times: Counter[str] = Counter()
    with ShardWriter(job.folder, "train", RECORD) as train, ShardWriter(job.folder, "heldout", RECORD) as heldout:
        for judged in judged_rows(captions, Path(settings.folder), settings.limit, captioned=settings.captioned):
            row, origin = judged.row, judged.row.origin
            times[row.image] += 1
            sample_id = row.image or f"row-{row.line}"
            if row.image and times[row.image] > 1:
                sample_id += f"#{times[row.image]}"
            mentioned.add(judged.file)
            if judged.reason is None or (captions is None and judged.reason in OF_CAPTIONS):
                named.add(_name_below(root, Path(judged.file)))
            if judged.reason is not None:
                rejected.add(sample_id, origin, judged.reason, judged.detail)
                continue
            name = _name_below(root, Path(judged.file))
            if name not in images:
                if name not in set_aside:
                    raise SourceError(f"sources.{source}: {name} came after the images were made; run again")
                rejected.add(sample_id, origin, SET_ASIDE, set_aside[name])
                continue
            image_id, split = images[name]
            if image_id in screened:
                rejected.add(sample_id, origin, SET_ASIDE, screened[image_id])
                continue
            record = {"kind": IMAGE_TEXT, "text": row.caption, "image_ids": [image_id], "source": source}
            (heldout if split == "heldout" else train).write({"sample_id": sample_id} | record)
    if (gone := images.keys() | set_aside.keys()) - named:
        raise SourceError(f"sources.{source}: {sorted(gone - named)[0]} is gone since the images were made; run again")
    # Of a part of the rows, nothing can be said of images that none of them names.
    for path in files_below(root) if settings.limit is None else ():
        name = path.relative_to(root).as_posix()
        if path.suffix.lower() in EXTENSIONS and is_regular(path) and naming.file(name)[0] not in mentioned:
            where = "no .txt file lies beside it" if captions is None else f"no row in {captions.name} names it"
            rejected.add(name, name, UNCAPTIONED, where)
    facts = {"train_records": train.rows, "heldout_records": heldout.rows}
    return finish(job, {**train.files, **heldout.files}, facts, rejected)


def _different_files(paths: list[Path], folder: Path, hashes: FileHashes) -> list[ImageFile]:
    """Files below the folder by content, in the order in which they first come."""
    files: dict[str, ImageFile] = {}
    for path in paths:
        content = hashes.of(path)
        key = str(path) if content == UNREADABLE else content  # of those each is one of its own
        files.setdefault(key, ImageFile(path, content, [])).names.append(_name_below(folder, path))
    return list(files.values())


def _name_below(folder: Path, path: Path) -> str:
    return encodable(path.relative_to(folder).as_posix())


def _images_by_name(folders: list[Path]) -> tuple[dict[str, tuple[str, str]], dict[str, str]]:
    """(image id, split) by file name, and the reason by file name of those that were set aside."""
    images: dict[str, tuple[str, str]] = {}
    set_aside: dict[str, str] = {}
    for folder in folders:
        names = pq.read_table(folder / NAMES_FILE).to_pydict()
        images |= zip(names["name"], zip(names["image_id"], names["split"], strict=True), strict=True)
        set_aside |= reasons_in(folder)
    return images, set_aside


def _nothing_usable(job: Job[PlannedFolderImages, Execution], rejected: RejectedSamples) -> SourceError:
    """The error of images none of which is usable; what was set aside is written down first."""
    rejected.write(job.folder)
    folder, captions = job.settings.folder, job.settings.captions_below(Path())
    rows = judged_rows(captions, Path(folder), job.settings.limit, captioned=job.settings.captioned)
    given = f" with {captions or '.txt files'}" if job.settings.captioned else ""
    counts = Counter(judged.reason for judged in rows if judged.reason is not None)
    counts.update(rejected.counts)
    reasons = ", ".join(f"{count} x {reason}" for reason, count in sorted(counts.items())) or "no rows"
    return SourceError(
        f"sources.{job.settings.source}: no usable image in {folder}{given} ({reasons}); mend "
        f"them or add images; every rejected image is in {job.folder / REJECTED_FILE}"
    )
