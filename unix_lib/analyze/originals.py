"""Some images of a source with their codes, found by name in the artefacts that hold them."""

from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unix_lib.images.files import BadImage
from unix_lib.records.shards import Split, iterate_batches
from unix_lib.sources.in_place.reading import Images

Rejections = dict[str, int]  # counts by reason


def codes_of(folders: Iterable[Path], names: Collection[str], split: Split) -> dict[str, list[int]]:
    """Codes of those images that were encoded."""
    values, found = pa.array(list(names), pa.string()), dict[str, list[int]]()
    for folder in folders:
        for batch in iterate_batches(folder, split, ["image_id", "image_codes"]):
            rows = batch.filter(pc.is_in(batch["image_id"], value_set=values))
            found |= dict(zip(rows["image_id"].to_pylist(), rows["image_codes"].to_pylist(), strict=True))
    return found


def originals_of(
    folders: Iterable[Path], names: Collection[str], split: Split, image_size: int, rejected: Rejections
) -> dict[str, np.ndarray]:
    """Images uint8 (S, S, 3) by name; those that can't be read are counted by reason.

    An image whose codes came with its source has no pixels, and is not among them.
    """
    originals: dict[str, np.ndarray] = {}
    for folder in folders:
        images = Images(folder, image_size)
        found = images.some(set(names) - originals.keys(), split)
        for name, rgb in zip(found, images.decoded(list(found.values())), strict=True):
            if isinstance(rgb, BadImage):
                rejected[rgb.reason] = rejected.get(rgb.reason, 0) + 1
            else:
                originals[name] = rgb.transpose(1, 2, 0)
    return originals
