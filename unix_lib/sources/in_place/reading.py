"""The images of an artefact of `sources`, one chunk after another: stored in it, or read in place.

In place an image is proven by its name, which is a hash of its bytes; nothing else says that a file is as it was.
"""

import io
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unix_lib.artefacts.recipe import recipe_of
from unix_lib.config.file_hashes import FileHashes
from unix_lib.config.outside import Outside
from unix_lib.images.files import BadImage, square_rgb
from unix_lib.images.pixels import rgb_from_bytes
from unix_lib.jobs.job_kinds import job_kind
from unix_lib.records.rejected import encodable
from unix_lib.records.shards import SPLITS, Split, iterate_batches
from unix_lib.records.tables import TableError, TableRow
from unix_lib.sources.errors import BadRow, SourceError
from unix_lib.sources.in_place.images import GIVEN, PLACES, image_id
from unix_lib.sources.in_place.settings import PixelSettings, PlannedImages

Decoded = TypeVar("Decoded")
Place = dict[str, Any]  # a row of PLACE
SOME = 1024  # images that are looked through at a time
AHEAD = 128  # images that are decoded before they are asked for: 100 MB of them at 512 pixels a side


@dataclass(frozen=True)
class Chunk:
    """Images one behind the other, lists of one length.

    They are read, as they are stored, when they are asked for: chunk after chunk, and those of one in order, once.
    """

    ids: list[str]
    splits: list[str]
    read: Callable[[Sequence[int]], Iterator[bytes]]  # those at some places of the lists

    def read_all(self) -> Iterator[bytes]:
        return self.read(range(len(self.ids)))


class Images:
    """The images of an artefact's folder, each once a split, at `image_size` pixels a side.

    Args:
        without: names of images that are left out.
    """

    def __init__(self, folder: Path, image_size: int, without: Iterable[str] = ()) -> None:
        self.folder, self.image_size = folder, image_size
        self._without = pa.array(list(without), pa.string())
        self.in_place = any(folder.glob(f"{PLACES}-*.parquet"))
        self.given = folder / GIVEN  # codes of images that were encoded before they came here
        self._settings = _settings_of(folder) if self.in_place else None

    @property
    def prepared_by(self) -> dict[str, Any]:
        """What decides an image's pixels beside what it is called and the size."""
        return {} if self._settings is None else self._settings.narrowed(PixelSettings).semantic()

    def count(self) -> int:
        """How many there are to decode."""
        if not self.in_place:
            return sum(len(rows) for split in SPLITS for rows in self._left(split, ["image_id"]))
        return sum(len(batch) for batch in self._places(SPLITS))

    def chunks(self, size: int, splits: Sequence[Split] = SPLITS) -> Iterator[Chunk]:
        """All of some splits; of those that are stored one split comes after the other."""
        if self._settings is not None:
            reader = PlaceReader(self._settings, self.folder.name)
            for places in _in_lists(self._places(splits), size):
                ids, split_of = ([place[column] for place in places] for column in ("image_id", "split"))
                yield Chunk(ids, split_of, partial(_read_in_place, reader, places))
            return
        for split in splits:
            for rows in self._left(split, ["image_id", "image"], size):
                ids = rows["image_id"].to_pylist()
                yield Chunk(ids, [split] * len(ids), partial(_stored, rows["image"]))

    def some(self, ids: Collection[str], splits: Sequence[Split] = SPLITS) -> dict[str, bytes]:
        """Those of some splits that have such ids, as they are stored; one whose codes came with it is not among them.

        Reading ends with the last of them, so that what stands near the front is found at once.
        """
        left, found = set(ids), dict[str, bytes]()
        for chunk in self.chunks(SOME, splits) if left else ():
            wanted = [index for index, name in enumerate(chunk.ids) if name in left]
            found |= zip((chunk.ids[index] for index in wanted), chunk.read(wanted), strict=True)
            left -= found.keys()
            if not left:
                break
        return found

    def decoded(self, data: Iterable[bytes], threads: int = 1) -> Iterator[np.ndarray | BadImage]:
        """uint8 (3, S, S) of each, or what is wrong with it, in order."""
        return decoded(data, self._decode, threads)

    def _decode(self, data: bytes) -> np.ndarray:
        if self._settings is None:
            return rgb_from_bytes(data, self.image_size)
        settings = self._settings
        rgb = square_rgb(io.BytesIO(data), self.image_size, settings.resize, draft=settings.draft)
        return np.ascontiguousarray(rgb.transpose(2, 0, 1))

    def _left(self, shards: str, columns: list[str] | None = None, size: int = 1024) -> Iterator[pa.RecordBatch]:
        """Rows of a split, or of places, but for those of images that are left out."""
        for batch in iterate_batches(self.folder, shards, columns, size):
            yield batch.filter(pc.invert(pc.is_in(batch["image_id"], value_set=self._without)))

    def _places(self, splits: Sequence[Split]) -> Iterator[pa.RecordBatch]:
        """Where the images of some splits are, each once, but for those that need no decoding."""
        wanted = pa.array(splits, pa.string())
        for batch in self._left(PLACES):
            to_decode = pc.and_(batch["first"], pc.invert(batch["given"]))
            yield batch.filter(pc.and_(to_decode, pc.is_in(batch["split"], value_set=wanted)))


class PlaceReader:
    """Reads images where they lie, which must be asked for in the order of their places.

    Args:
        settings: of the job that indexed them.
        index: what that is called, for messages.
    """

    def __init__(self, settings: PlannedImages, index: str) -> None:
        self._settings, self._index = settings, index
        outside = Outside(Path.cwd(), FileHashes(None))
        named = settings.named_files(outside).items()
        self._paths = {encodable(name): settings.opened(path, name) for path, name in named}
        self._columns = settings.reader.columns(settings.reader.image_columns(settings))
        self._file: str | None = None
        self._rows: Iterator[TableRow] = iter(())
        self._row, self._images = 0, list[bytes]()

    def read(self, place: Place) -> bytes:
        """The image at a place, as it is stored.

        Raises:
            SourceError: it is not the one that was indexed.
        """
        reader = self._settings.reader
        try:
            if place["file"] != self._file:
                self._file, self._row = place["file"], 0
                self._rows = reader.rows(self._paths[place["file"]], *self._columns)
            if place["row"] != self._row:
                values = next(found.values for found in self._rows if found.number == place["row"])
                self._row, self._images = place["row"], reader.images(values, self._settings)
            data = self._images[place["item"]]
        except (KeyError, StopIteration, IndexError, BadRow, TableError, OSError):
            data = None
        if data is None or image_id(data) != place["image_id"]:
            raise SourceError(
                f"{place['file']}, row {place['row']}: the image is not the one that {self._index} has in its index; "
                "put the file back, or run again, which indexes it anew"
            )
        return data


def _read_in_place(reader: PlaceReader, places: Sequence[Place], wanted: Sequence[int]) -> Iterator[bytes]:
    return (reader.read(places[index]) for index in wanted)


def _stored(images: pa.BinaryArray, wanted: Sequence[int]) -> Iterator[bytes]:
    return (images[index].as_py() for index in wanted)


def _in_lists(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[list[Place]]:
    """Rows in lists of a size, the last one shorter."""
    rows = (row for batch in batches for row in batch.to_pylist())
    while some := list(islice(rows, size)):
        yield some


def decoded(data: Iterable[bytes], decode: Callable[[bytes], Decoded], threads: int) -> Iterator[Decoded | BadImage]:
    """What `decode` makes of each image, or the `BadImage` that it raises, in order; a few at a time are in memory."""

    def one(image: bytes) -> Decoded | BadImage:
        try:
            return decode(image)
        except BadImage as fault:
            return fault

    with ThreadPoolExecutor(threads) as pool:  # Pillow works without holding the interpreter's lock
        waiting = deque[Future[Decoded | BadImage]]()
        for image in data:
            waiting.append(pool.submit(one, image))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _settings_of(folder: Path) -> PlannedImages:
    recipe = recipe_of(folder)
    settings = job_kind(recipe.stage, recipe.kind).settings.model_validate(recipe.settings)
    assert isinstance(settings, PlannedImages)
    return settings
