"""Makes the images of a source in place: an index of where each lies, which is no copy, and codes that came with them.

Judged here is what the header says; pixels are decoded once, where the image is encoded. An image is called by a hash
of its bytes, so that whoever reads it in place can prove that it is the one that was indexed.
"""

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import pyarrow as pa

from unix_lib.artefacts.manifest import Manifest
from unix_lib.config.jobs import Execution
from unix_lib.images.files import BadImage, check_header
from unix_lib.jobs.job import Job
from unix_lib.records.rejected import RejectedSamples, encodable
from unix_lib.records.schema import CODES
from unix_lib.records.shards import SPLITS, ShardWriter, Split, iterate_rows
from unix_lib.records.tables import TableRow
from unix_lib.sources.copies import Seen
from unix_lib.sources.errors import BadRow
from unix_lib.sources.in_place.samples import Reader
from unix_lib.sources.in_place.settings import PlannedImages
from unix_lib.sources.rows import TakenRows
from unix_lib.sources.writing import Files, finish

PLACES = "places"  # shards `places-00000.parquet`
GIVEN = "given"  # folder of codes that came with the rows
# An image of a row, in the order of the rows. One that several rows show has several places.
PLACE = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("file", pa.string(), nullable=False),  # its name, see `RowFiles.named_files`
        pa.field("row", pa.int64(), nullable=False),  # of the file, from 1
        pa.field("item", pa.int32(), nullable=False),  # of the row's images, from 0
        pa.field("split", pa.string(), nullable=False),  # train | heldout: of all images of the row
        pa.field("first", pa.bool_(), nullable=False),  # whether no place before it has the image in this split
        pa.field("given", pa.bool_(), nullable=False),  # whether its codes came with the row
    ]
)


def image_id(data: bytes) -> str:
    """What an image is called that is read in place: 128 bits of SHA-256 over its bytes, hexadecimal."""
    return hashlib.sha256(data).hexdigest()[:32]


def make_images(job: Job[PlannedImages, Execution]) -> Manifest:
    """Make a part of `sources/<source>-images`: the places of images, and the codes of those that were encoded already.

    A row of several images is held out when one of them is, with all of them; it is left out when one can't be used.
    """
    settings, rejected = job.settings, RejectedSamples()
    rows = TakenRows(settings, job.outside, rejected)
    seen = Seen()
    counts: dict[Split, int] = dict.fromkeys(SPLITS, 0)
    given: dict[Split, ShardWriter] = {split: ShardWriter(job.folder / GIVEN, split, CODES) for split in SPLITS}
    with ShardWriter(job.folder, PLACES, PLACE) as places, given["train"], given["heldout"]:
        for file, place, row in rows_of(rows, settings.reader, settings.reader.image_columns(settings)):
            try:
                codes, ids = _named(row, settings)
            except BadRow as fault:
                rejected.add(place, place, fault.reason, fault.detail, cause=fault.__cause__)
                continue
            split: Split = "heldout" if any(map(settings.held_out.holds_out, ids)) else "train"
            for item, name in enumerate(ids):
                first = not seen.before(f"{split}/{name}")
                counts[split] += first
                of_image = {"image_id": name, "file": file, "row": row.number, "item": item, "split": split}
                places.write(of_image | {"first": first, "given": codes is not None})
                if first and codes is not None:
                    given[split].write({"image_id": name, "image_codes": codes})
    files: Files = dict(places.files)
    for split in SPLITS:
        files |= {f"{GIVEN}/{name}": count for name, count in given[split].files.items()}
    facts = {f"{split}_images": count for split, count in counts.items()}
    return finish(job, files, facts | rows.facts | {"places": places.rows}, rejected)


def _named(row: TableRow, settings: PlannedImages) -> tuple[list[int] | None, list[str]]:
    """The codes that came with a row, and what its images are called.

    Raises:
        BadRow: an image that can't be used.
    """
    codes = settings.reader.codes(row.values, settings)
    if codes is not None:
        return codes, [image_id(b"codes" + b"".join(code.to_bytes(2, "little") for code in codes))]
    ids = []
    for data in settings.reader.images(row.values, settings):
        try:
            check_header(io.BytesIO(data), settings.max_pixels, settings.max_aspect_ratio)
        except BadImage as fault:
            raise BadRow(fault.reason, fault.detail) from fault.__cause__
        ids.append(image_id(data))
    return None, ids


def rows_of(rows: TakenRows, reader: Reader, columns: Sequence[str]) -> Iterator[tuple[str, str, TableRow]]:
    """(file, place, row) of every row that is taken."""
    for path, name in rows.files():
        for place, row in rows.rows(path, name, *reader.columns(columns), reader.rows):
            yield name, place, row


class ImagesOfRows:
    """What the rows of a job show, asked for in the order of the rows, in which it was written: little is in memory.

    Args:
        folders: artefacts of images.
        files: names of all files, in order.
    """

    def __init__(self, folders: list[Path], files: Iterable[str]) -> None:
        self._order = {encodable(name): number for number, name in enumerate(files)}
        columns = ["file", "row", "split", "image_id"]
        places = (place for folder in folders for place in iterate_rows(folder, PLACES, columns))
        self._groups = groupby(places, key=lambda place: (self._order.get(place["file"], -1), place["row"]))
        self._next = next(self._groups, None)

    def of(self, file: str, row: int) -> tuple[str, list[str]]:
        """(split, image ids) of a row; "" and none where it has no image."""
        wanted = (self._order[encodable(file)], row)
        while self._next is not None and self._next[0] < wanted:  # of rows whose texts can't be read
            self._next = next(self._groups, None)
        if self._next is None or self._next[0] != wanted:
            return "", []
        places = list(self._next[1])
        return places[0]["split"], [place["image_id"] for place in places]
