"""Cosines between groups of chunk gradients over many random splits: the rows of `conflict.parquet`.

See `unix_lib.analyze.conflict` for what they mean.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from unix_lib.records.schema import Row

if TYPE_CHECKING:
    from torch import Tensor

Product = np.ndarray  # float64 (2C, 2C), inner products of the gradients of C text chunks, then C image chunks

CONFLICT_COLUMNS = pa.schema(
    [
        pa.field("layer", pa.int32()),
        pa.field("projection", pa.string()),
        pa.field("shared", pa.bool_()),
        pa.field("split", pa.int32()),  # null where the projection is not shared
        pa.field("s_inter", pa.float64()),
        pa.field("s_base", pa.float64()),
        pa.field("conflict", pa.float64()),
        pa.field("s_text", pa.float64()),  # of two disjoint halves of the text documents, the first being S_inter's
        pa.field("s_image", pa.float64()),  # likewise of the image documents
    ]
)


@dataclass(frozen=True, eq=False)
class Projection:
    """One projection of one layer, or a `part` of it; `weight` is None where each modality has its own."""

    layer: int
    name: str
    weight: "Tensor | None"
    part: str = ""


def conflict_table(
    products: Iterable[tuple[Projection, Product | None]], chunks: int, splits: int, seed: int
) -> pa.Table:
    """Conflict of every projection over the same random splits, parts left out; columns `CONFLICT_COLUMNS`."""
    groups = split_groups(chunks, splits, seed)
    rows: list[Row] = []
    for projection, product in products:
        if projection.part:
            continue
        known = {"layer": projection.layer, "projection": projection.name, "shared": product is not None}
        if product is None:
            rows.append(known)  # the columns left out become null
            continue
        for split, (text, image, any1, any2, other_text, other_image) in enumerate(groups):
            s_inter, s_base = cosine(product, text, image), cosine(product, any1, any2)
            s_text, s_image = cosine(product, text, other_text), cosine(product, image, other_image)
            paper = {"s_inter": s_inter, "s_base": s_base, "conflict": s_base - s_inter}
            rows.append(known | {"split": split} | paper | {"s_text": s_text, "s_image": s_image})
    return pa.Table.from_pylist(rows, schema=CONFLICT_COLUMNS)


def split_groups(chunks: int, splits: int, seed: int) -> np.ndarray:
    """Which chunks form g_text, g_image, g_any1, g_any2, and the other halves of text and of images, in each split.

    Returns:
        float64 (splits, 6, 2 * chunks) of 0 and 1, text chunks first; each group has `chunks / 2` chunks, the two
        mixed groups are disjoint with as many chunks of text as of images, and a modality's halves are disjoint.
    """
    half, quarter = chunks // 2, chunks // 4
    groups = np.zeros((splits, 6, 2 * chunks))
    for split in range(splits):
        rng = np.random.default_rng([seed, split])
        text, image = rng.permutation(chunks), chunks + rng.permutation(chunks)
        groups[split, 0, text[:half]] = 1
        groups[split, 1, image[:half]] = 1
        groups[split, 4, text[half:]] = 1
        groups[split, 5, image[half:]] = 1
        mixed = [rng.permutation(chunks), chunks + rng.permutation(chunks)]
        for position in (0, 1):
            for order in mixed:
                groups[split, 2 + position, order[position * quarter : (position + 1) * quarter]] = 1
    return groups


def cosine(product: np.ndarray, left: np.ndarray, right: np.ndarray) -> float:
    """Cosine of two sums of chunk gradients, from the chunks' inner products; NaN-free: 0 for a zero gradient."""
    norms = float((left @ product @ left) * (right @ product @ right))
    return float(left @ product @ right) / norms**0.5 if norms > 0 else 0.0
