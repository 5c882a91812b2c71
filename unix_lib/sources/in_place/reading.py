"""The images of an artefact of `sources`, one chunk after another: stored in it, or read in place.

In place an image is proven by its name, which is a hash of its bytes; nothing else says that a file is as it was.
"""

import io
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

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
from unix_lib.records.shards import SPLITS, Split, count_rows, iterate_batches
from unix_lib.records.tables import TableError
from unix_lib.sources.errors import BadRow, SourceError
from unix_lib.sources.in_place.images import GIVEN, PLACES, image_id
from unix_lib.sources.in_place.settings import PlannedImages

Places = Iterator[list[dict[str, Any]]]  # rows of PLACE, in batches


@dataclass(frozen=True)
class Chunk:
    """Images one behind the other, lists of one length."""

    ids: list[str]
    splits: list[str]
    data: list[bytes]


class Images:
    """The images of an artefact's folder, each once a split, at `image_size` pixels a side."""

    def __init__(self, folder: Path, image_size: int) -> None:
        self.folder, self.image_size = folder, image_size
        self.in_place = any(folder.glob(f"{PLACES}-*.parquet"))
        self.given = folder / GIVEN  # codes of images that were encoded before they came here
        self._settings = _settings_of(folder) if self.in_place else None

    def count(self) -> int:
        """How many there are to decode."""
        if not self.in_place:
            return sum(count_rows(self.folder, split) for split in SPLITS)
        return sum(len(batch) for batch in self._places(SPLITS))

    def chunks(self, size: int, splits: Sequence[Split] = SPLITS) -> Iterator[Chunk]:
        """All of some splits; of those that are stored one split comes after the other."""
        if self.in_place:
            yield from self._read_in_place(size, (batch.to_pylist() for batch in self._places(splits)))
            return
        for split in splits:
            for rows in iterate_batches(self.folder, split, ["image_id", "image"], batch_rows=size):
                yield Chunk(rows["image_id"].to_pylist(), [split] * len(rows), rows["image"].to_pylist())

    def some(self, ids: Collection[str], split: Split) -> dict[str, bytes]:
        """Those of a split that have such ids, as they are stored; one whose codes came with it is not among them."""
        if self.in_place:
            places = (batch.to_pylist() for batch in self._places([split]))
            wanted = ([place for place in batch if place["image_id"] in ids] for batch in places)
            chunks = list(self._read_in_place(len(ids) + 1, wanted))
            return {name: data for chunk in chunks for name, data in zip(chunk.ids, chunk.data, strict=True)}
        values, found = pa.array(list(ids), pa.string()), dict[str, bytes]()
        for batch in iterate_batches(self.folder, split, ["image_id", "image"]):
            rows = batch.filter(pc.is_in(batch["image_id"], value_set=values))
            found |= dict(zip(rows["image_id"].to_pylist(), rows["image"].to_pylist(), strict=True))
        return found

    def decoded(self, data: list[bytes], threads: int = 1) -> Iterator[np.ndarray | BadImage]:
        """uint8 (3, S, S) of each, or what is wrong with it, in order."""
        return decoded(data, self._decode, threads)

    def _decode(self, data: bytes) -> np.ndarray:
        if self._settings is None:
            return rgb_from_bytes(data, self.image_size)
        rgb = square_rgb(io.BytesIO(data), self.image_size, self._settings.resize)
        return np.ascontiguousarray(rgb.transpose(2, 0, 1))

    def _places(self, splits: Sequence[Split]) -> Iterator[pa.RecordBatch]:
        """Where the images of some splits are, each once, but for those that need no decoding."""
        wanted = pa.array(splits, pa.string())
        for batch in iterate_batches(self.folder, PLACES):
            to_decode = pc.and_(batch["first"], pc.invert(batch["given"]))
            yield batch.filter(pc.and_(to_decode, pc.is_in(batch["split"], value_set=wanted)))

    def _read_in_place(self, size: int, places: Places) -> Iterator[Chunk]:
        chunk = Chunk([], [], [])
        for place, data in self._bytes_in_place(places):
            chunk.ids.append(place["image_id"])
            chunk.splits.append(place["split"])
            chunk.data.append(data)
            if len(chunk.ids) == size:
                yield chunk
                chunk = Chunk([], [], [])
        if chunk.ids:
            yield chunk

    def _bytes_in_place(self, batches: Places) -> Iterator[tuple[dict[str, Any], bytes]]:
        assert self._settings is not None
        settings, outside = self._settings, Outside(Path.cwd(), FileHashes(None))
        paths = {encodable(name): path for path, name in settings.named_files(outside).items()}
        places = (place for batch in batches for place in batch)
        reader = settings.reader
        columns = reader.columns(reader.image_columns(settings))
        for file, of_file in groupby(places, key=lambda place: str(place["file"])):
            rows: Iterator[Any] = iter(())
            row, images = None, list[bytes]()
            for place in of_file:
                try:
                    if row is None:
                        rows = reader.rows(paths[file], *columns)
                    if row != place["row"]:
                        values = next(found.values for found in rows if found.number == place["row"])
                        row, images = place["row"], reader.images(values, settings)
                    data = images[place["item"]]
                except (KeyError, StopIteration, IndexError, BadRow, TableError, OSError):
                    raise self._changed(file, place["row"]) from None
                if image_id(data) != place["image_id"]:
                    raise self._changed(file, place["row"])
                yield place, data

    def _changed(self, file: str, row: int) -> SourceError:
        return SourceError(
            f"{file}, row {row}: the image is not the one that {self.folder.name} has in its index; put the file back, "
            "or run again, which indexes it anew"
        )


def decoded(data: list[bytes], decode: Callable[[bytes], np.ndarray], threads: int) -> Iterator[np.ndarray | BadImage]:
    """What `decode` makes of each image, or the `BadImage` that it raises, in order."""

    def one(image: bytes) -> np.ndarray | BadImage:
        try:
            return decode(image)
        except BadImage as fault:
            return fault

    with ThreadPoolExecutor(threads) as pool:  # Pillow works without holding the interpreter's lock
        yield from pool.map(one, data)


def _settings_of(folder: Path) -> PlannedImages:
    recipe = recipe_of(folder)
    settings = job_kind(recipe.stage, recipe.kind).settings.model_validate(recipe.settings)
    assert isinstance(settings, PlannedImages)
    return settings
