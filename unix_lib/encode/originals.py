"""Some images of a source with their codes, found by name in the artefacts that hold them."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unix_lib.images.files import BadImage
from unix_lib.records.shards import SPLITS, Split, iterate_batches
from unix_lib.sources.in_place.reading import Images

Rejections = dict[str, int]  # counts by reason


def codes_of(folders: Iterable[Path], names: Collection[str], splits: Sequence[Split] = SPLITS) -> dict[str, list[int]]:
    """Codes of those images that were encoded; reading ends with the last of them."""
    left, found = set(names), dict[str, list[int]]()
    for folder in folders:
        for split in splits:
            for batch in iterate_batches(folder, split, ["image_id", "image_codes"]) if left else ():
                rows = batch.filter(pc.is_in(batch["image_id"], value_set=pa.array(left, pa.string())))
                found |= dict(zip(rows["image_id"].to_pylist(), rows["image_codes"].to_pylist(), strict=True))
                left -= found.keys()
                if not left:
                    break
    return found


def originals_of(
    folders: Iterable[Path], names: Collection[str], splits: Sequence[Split], image_size: int, rejected: Rejections
) -> dict[str, np.ndarray]:
    """Images uint8 (S, S, 3) by name; those that can't be read are counted by reason.

    An image whose codes came with its source has no pixels, and is not among them.
    """
    originals: dict[str, np.ndarray] = {}
    for folder in folders:
        images = Images(folder, image_size)
        found = images.some(set(names) - originals.keys(), splits)
        for name, rgb in zip(found, images.decoded(list(found.values())), strict=True):
            if isinstance(rgb, BadImage):
                rejected[rgb.reason] = rejected.get(rgb.reason, 0) + 1
            else:
                originals[name] = np.ascontiguousarray(rgb.transpose(1, 2, 0))
    return originals
