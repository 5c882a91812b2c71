"""Records with the images that they show, and images beside what comes back of their codes."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from unix_lib.artefacts.manifest import read_manifest
from unix_lib.images.files import BadImage
from unix_lib.look.shown import Item, Picture, Shown
from unix_lib.records.schema import Row
from unix_lib.records.shards import SPLITS, iterate_rows
from unix_lib.sources.in_place.reading import Images
from unix_lib.tokenizers.coded_images import decode_images
from unix_lib.tokenizers.fidelity import psnr_db
from unix_lib.tokenizers.image import ImageTokenizer
from unix_lib.tokenizers.vqgan import ImageTokenizerError

READ_AT_ONCE = 64  # images


@dataclass(frozen=True)
class Looked:
    """Artefacts that are looked at."""

    tables: list[Path]  # of records or codes
    images: list[Path]  # that they speak of
    image_size: int  # pixels of a side that images come to


def shown_records(title: str, lead: str, looked: Looked, count: int) -> Shown:
    """The first records of a source."""
    chosen = list(islice(_rows(looked.tables), count))
    wanted = {name for row in chosen for name in row["image_ids"] or []}
    found = dict(_found(looked, wanted))
    items = []
    for row in chosen:
        ids = row["image_ids"] or []
        pictures = [Picture(found[name], name) for name in ids if name in found]
        facts = {"kind": row["kind"], "images": str(len(ids))}
        if len(pictures) < len(ids):
            facts["not shown"] = f"{len(ids) - len(pictures)} that came as codes or can't be decoded"
        messages = [(each["role"], each["content"] or "") for each in row["messages"] or []]
        turns = [("text", row["text"])] if row["text"] else messages
        items.append(Item(row["sample_id"], facts, pictures, turns))
    return Shown(title, lead, items)


def shown_codes(title: str, looked: Looked, count: int, tokenizer: ImageTokenizer) -> Shown:
    """The first encoded images of a source, each beside what its codes decode to."""
    rows = list(islice(_rows(looked.tables), count))
    found = dict(_found(looked, {row["image_id"] for row in rows}))
    try:
        decoded = list(decode_images(tokenizer, np.array([row["image_codes"] for row in rows]))) if rows else []
        lead = f"{len(rows)} images beside what comes back of their codes"
    except ImageTokenizerError as error:  # it has no decoder
        decoded, lead = [], str(error)
    items = []
    for number, row in enumerate(rows):
        name, own = row["image_id"], row["image_codes"]
        facts = {"codes": f"{len(own)}, {len(set(own))} different", "first": " ".join(map(str, own[:16]))}
        pictures = [Picture(found[name], "image")] if name in found else []
        if decoded:
            pictures.append(Picture(decoded[number], "from its codes"))
        if len(pictures) == 2:
            facts["PSNR"] = f"{psnr(*(picture.rgb for picture in pictures)):.1f} dB"
        items.append(Item(name, facts, pictures))
    return Shown(title, lead, items)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two pictures of uint8, in dB."""
    return psnr_db(float(np.square(a.astype(np.float64) - b).sum()), a.size)


def _found(looked: Looked, wanted: set[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Images by id, uint8 (S, S, 3); those that can't be decoded are left out.

    What is wanted should stand near the front: reading ends with the last of them.
    """
    left = set(wanted)
    for folder in looked.images:
        if not left:
            return
        images = Images(folder, looked.image_size)
        for chunk in images.chunks(READ_AT_ONCE):
            places = {name: place for place, name in enumerate(chunk.ids) if name in left}
            rgbs = images.decoded(chunk.read(list(places.values())))
            for name, rgb in zip(places, rgbs, strict=True):
                left.discard(name)
                if not isinstance(rgb, BadImage):
                    yield name, np.ascontiguousarray(rgb.transpose(1, 2, 0))
            if not left:
                break


def _rows(folders: list[Path]) -> Iterator[Row]:
    for split in SPLITS:
        for folder in folders:
            read_manifest(folder)
            yield from iterate_rows(folder, split)
