"""Records with the images that they show, and images beside what comes back of their codes."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import MANIFEST, read_manifest
from unix_lib.encode.originals import codes_of, originals_of
from unix_lib.look.shown import Item, Picture, Shown, in_words
from unix_lib.records.schema import Row
from unix_lib.records.shards import SPLITS, iterate_rows
from unix_lib.tokenizers.coded_images import decode_images
from unix_lib.tokenizers.fidelity import psnr_db
from unix_lib.tokenizers.image import ImageTokenizer

IMAGE_SIDE = 256  # pixels of a side that images are shown at, where no image tokenizer says how large they are


@dataclass(frozen=True)
class MadeSource:
    """The finished artefacts of a source, or of a sample of it; parts in their order."""

    name: str
    records: list[Path]
    images: list[Path]
    codes: list[Path]
    image_size: int  # pixels of a side that images come to

    @property
    def is_made(self) -> bool:
        """Whether its records and images are there."""
        return all((folder / MANIFEST).is_file() for folder in (*self.records, *self.images))

    def pictures(self, ids: Collection[str]) -> dict[str, np.ndarray]:
        """Images by id, uint8 (S, S, 3); those that came as codes or can't be decoded are left out.

        Raises:
            SourceError: images are read in place, and their files are not what they were.
        """
        return originals_of(self.images, ids, SPLITS, self.image_size, {})


def shown_records(
    title: str, lead: str, source: MadeSource, count: int, tokenizer: ImageTokenizer | None = None
) -> Shown:
    """The first records of a source, their images each beside what comes back of its codes where it is encoded.

    Args:
        tokenizer: decodes codes; None shows none.
    """
    chosen = list(islice(_rows(source.records), count))
    wanted = {name for row in chosen for name in row["image_ids"] or []}
    try:
        found = source.pictures(wanted)
    except UserError as error:
        found, lead = {}, f"{lead}; without their images: {error}"
    decoded = {} if tokenizer is None else _decoded(tokenizer, codes_of(source.codes, wanted))
    items = []
    for row in chosen:
        ids = row["image_ids"] or []
        shown = [name for name in ids if name in found or name in decoded]
        facts = {"kind": in_words(row["kind"])} | ({"images": " ".join(ids)} if ids else {})
        if len(shown) < len(ids):
            facts["not shown"] = f"{len(ids) - len(shown)} that came as codes or can't be decoded"
        pictures = [each for name in shown for each in _beside(found.get(name), decoded.get(name))]
        messages = [(each["role"], each["content"] or "") for each in row["messages"] or []]
        turns = [("text", row["text"])] if row["text"] else messages
        items.append(Item(row["sample_id"], facts, pictures, turns))
    return Shown(title, lead, items)


def shown_codes(title: str, source: MadeSource, count: int, tokenizer: ImageTokenizer) -> Shown:
    """The first encoded images of a source, each beside what its codes decode to."""
    rows = list(islice(_rows(source.codes), count))
    codes = {row["image_id"]: row["image_codes"] for row in rows}
    found, decoded = source.pictures(codes), _decoded(tokenizer, codes)
    lead = f"{len(codes)} images beside what comes back of their codes"
    if not tokenizer.has_decoder:
        lead = f"{len(codes)} images; the image tokenizer has no decoder, so that nothing comes back of their codes"
    items = []
    for name, own in codes.items():
        facts = {"codes": f"{len(own)}, {len(set(own))} different", "first": " ".join(map(str, own[:16]))}
        items.append(Item(name, facts, list(_beside(found.get(name), decoded.get(name)))))
    return Shown(title, lead, items)


def _decoded(tokenizer: ImageTokenizer, codes: dict[str, list[int]]) -> dict[str, np.ndarray]:
    """What comes back of codes, uint8 (S, S, 3); nothing where the tokenizer has no decoder."""
    if not codes or not tokenizer.has_decoder:
        return {}
    return dict(zip(codes, decode_images(tokenizer, np.array(list(codes.values()))), strict=True))


def _beside(image: np.ndarray | None, decoded: np.ndarray | None) -> Iterator[Picture]:
    """An image, and what comes back of its codes with how far that is from it."""
    if image is not None:
        yield Picture(image, "image")
    if decoded is not None:
        fidelity = "" if image is None else f", {psnr(image, decoded):.1f} dB"
        yield Picture(decoded, f"from its codes{fidelity}")


def texts_of(record: Row) -> list[str]:
    """All that a record says, turn by turn."""
    return [record["text"]] if record["text"] else [message["content"] or "" for message in record["messages"] or []]


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two pictures of uint8, in dB."""
    return psnr_db(float(np.square(a.astype(np.float64) - b).sum()), a.size)


def _rows(folders: list[Path]) -> Iterator[Row]:
    for split in SPLITS:
        for folder in folders:
            read_manifest(folder)
            yield from iterate_rows(folder, split)
