"""How precisely the corrected conflict is known: its value without each chunk of documents in turn.

From the chunks' inner products, without splits. Chunks share no document, so the mean product of two different chunks
of a modality is free of noise on average; so is that of a text chunk and an image chunk. `attenuation` makes the
corrected conflict of such means as it does of cosines. What it is without one chunk gives its standard error (the
jackknife of two samples, the text chunks and the image chunks) with 2 (C - 1) degrees of freedom.
"""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import pyarrow as pa

from unix_lib.analyze.attenuation import corrected_by
from unix_lib.analyze.conflict_cosines import Product, Projection
from unix_lib.records.schema import Row

ALL = -1  # of `left_out`: no chunk is
LEAVE_ONE_OUT_COLUMNS = pa.schema(
    [
        pa.field("layer", pa.int32()),
        pa.field("projection", pa.string()),
        pa.field("part", pa.string()),  # "" for the whole projection; a head or a norm
        pa.field("left_out", pa.int32()),  # -1 none; 0..C-1 a chunk of texts, C..2C-1 a chunk of images
        # Means over pairs of chunks, over a chunk's mean squared length: cosines that hold no noise of their own.
        pa.field("s_inter", pa.float64()),
        pa.field("s_text", pa.float64()),
        pa.field("s_image", pa.float64()),
    ]
)
Measure = Callable[[pd.DataFrame], "pd.Series[float]"]


def leave_one_out(products: Iterable[tuple[Projection, Product | None]]) -> pa.Table:
    """The means of every shared projection and part, with all chunks and without each; `LEAVE_ONE_OUT_COLUMNS`."""
    rows: list[Row] = []
    for projection, product in products:
        if product is None:
            continue
        known = {"layer": projection.layer, "projection": projection.name, "part": projection.part}
        for left_out, (inter, text, image) in enumerate(pair_means(product), start=ALL):
            rows.append(known | {"left_out": left_out, "s_inter": inter, "s_text": text, "s_image": image})
    return pa.Table.from_pylist(rows, schema=LEAVE_ONE_OUT_COLUMNS)


def pair_means(product: Product) -> np.ndarray:
    """Mean inner products of a text and an image chunk, of two text chunks and of two image chunks.

    Returns:
        float64 (1 + 2C, 3): of all chunks, then without each; over the geometric mean of the chunks' squared lengths.
    """
    count = len(product) // 2
    lengths = [float(np.trace(block)) / count for block in (product[:count, :count], product[count:, count:])]
    scale = np.array([(lengths[0] * lengths[1]) ** 0.5, *lengths])
    # 1 - the identity, without row and column i of the chunk left out: which pairs are counted.
    kept = np.concatenate([np.ones((1, 2 * count)), 1 - np.eye(2 * count)])
    text, image = kept[:, :count], kept[:, count:]
    sums = [
        np.einsum("ki,ij,kj->k", left, product[rows, columns] * pairs, right)
        for left, right, rows, columns, pairs in (
            (text, image, slice(count), slice(count, None), 1.0),
            (text, text, slice(count), slice(count), 1 - np.eye(count)),
            (image, image, slice(count, None), slice(count, None), 1 - np.eye(count)),
        )
    ]
    texts, images = text.sum(axis=1), image.sum(axis=1)
    pairs = [texts * images, texts * (texts - 1), images * (images - 1)]
    means = np.stack(sums, axis=1) / np.stack(pairs, axis=1)
    shares: np.ndarray = np.divide(means, scale, out=np.zeros_like(means), where=scale > 0)
    return shares


def jackknife(rows: pd.DataFrame, measure: Measure) -> tuple[float, float, int]:
    """A number made of the corrected conflicts of some rows, its standard error and its degrees of freedom.

    Args:
        rows: of `leave_one_out`, of any projections, layers and checkpoints of the same documents.
        measure: from rows to the number for each `left_out`, such as `mean_conflict` or a difference of two.
    """
    values = measure(rows).sort_index()
    value, without = float(values[ALL]), values[values.index != ALL].to_numpy()
    count = len(without) // 2
    spread = sum(float(((half - half.mean()) ** 2).sum()) for half in (without[:count], without[count:]))
    return value, ((count - 1) / count * spread) ** 0.5, 2 * (count - 1)


def mean_conflict(rows: pd.DataFrame) -> "pd.Series[float]":
    """Corrected conflict of all these rows together, for each `left_out`."""
    return corrected_by(rows, ["left_out"])
