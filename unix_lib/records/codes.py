"""Judges rows of `CODES`: whether an image's codes are as many, and as large, as its tokenizer makes them."""

import numpy as np
import pyarrow as pa

WRONG_COUNT, OUT_OF_RANGE = "wrong_code_count", "code_out_of_range"


def judged_codes(
    batch: pa.RecordBatch, codes_per_image: int, codebook_size: int
) -> tuple[np.ndarray, np.ndarray, dict[str, tuple[str, str]]]:
    """Tell usable codes from others.

    Args:
        batch: columns `image_id`, `image_codes`.

    Returns:
        bool (N,), which rows are usable; their codes, uint16 (usable, codes_per_image); and (reason, detail) of the
        other images by their ids.
    """
    column, ids = batch["image_codes"], batch["image_id"]
    lengths = np.diff(column.offsets.to_numpy())
    good = lengths == codes_per_image
    codes = column.filter(pa.array(good)).flatten().to_numpy().reshape(-1, codes_per_image)
    highest = codes.max(axis=1, initial=0)
    in_range = highest < codebook_size
    faults = {
        ids[row].as_py(): (WRONG_COUNT, f"{lengths[row]} codes, an image has {codes_per_image}")
        for row in np.flatnonzero(~good).tolist()
    }
    for row, code in zip(np.flatnonzero(good)[~in_range].tolist(), highest[~in_range].tolist(), strict=True):
        faults[ids[row].as_py()] = (OUT_OF_RANGE, f"code {code}, the codebook has {codebook_size}")
    good[good] = in_range
    return good, codes[in_range], faults
