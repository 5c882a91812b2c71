"""Gradient conflict without what noise takes from it: 1 - cos(true text gradient, true image gradient).

Spearman's correction for attenuation, of the cosines of `conflict.parquet`. Two gradients summed over finitely many
documents have the cosine of the true gradients times sqrt(r_text r_image), the geometric mean of how much of each is
signal; two halves of one modality have the same true gradient, so their cosine *is* r. 0 means that text and images
pull the same way, 1 at right angles, 2 in opposite ways. An estimate may lie outside 0..2.

The fainter the signal, the wider the estimate scatters: what chance does to a cosine is divided by the reliability too.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

COSINES = ["s_inter", "s_text", "s_image"]
# ASSUME: where a modality's mean cosine with itself is below this, the corrected value is more chance than measurement.
LEAST_RELIABILITY = 0.1


def corrected_conflict(s_inter: ArrayLike, s_text: ArrayLike, s_image: ArrayLike) -> float:
    """1 - mean(s_inter) / sqrt(mean(s_text) mean(s_image)).

    A ratio of means, not a mean of ratios: a single split's reliability may come near 0 or below it, where the ratio
    explodes or is not defined, and leaving such splits out would favour the others. In the means their noise cancels.

    The cosines, over splits, are those of a text half with an image half, of the two text halves, of the two image
    halves; or each may be a mean. The conflict is not clipped, and NaN where a mean reliability is not positive: the
    gradients are too noisy to tell.
    """
    inter, text, image = (float(np.asarray(cosines, dtype=float).mean()) for cosines in (s_inter, s_text, s_image))
    return 1 - inter / (text * image) ** 0.5 if text > 0 and image > 0 else float("nan")


def corrected_by(rows: pd.DataFrame, keys: list[str]) -> "pd.Series[float]":
    """Corrected conflict of each group of rows, by `keys`.

    The cosines are averaged over all else (layers, projections, splits, checkpoints), then corrected. Within a group
    this weighs rows by how reliable they are; where text and images are not reliable in the same rows, it draws the
    value towards 1, since the mean of sqrt(s_text s_image) is below the root of the product of means.
    """
    means = rows.groupby(keys)[COSINES].mean()
    values = [corrected_conflict(*cosines) for cosines in means.itertuples(index=False)]
    return pd.Series(values, index=means.index, name="corrected", dtype=float)
