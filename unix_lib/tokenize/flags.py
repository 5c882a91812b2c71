"""What is said of a record's own tokens, token by token, in the upper bits of its id."""

import numpy as np

TRAINED, TURN = 1, 2  # may be trained; begins a turn
FLAGS_FROM = 29  # bit
_IDS = (1 << FLAGS_FROM) - 1


def with_flags(ids: np.ndarray, flags: np.ndarray) -> np.ndarray:
    """Ids (int32) and flags (uint8, below 4) in one int32 each."""
    both: np.ndarray = ids | flags.astype(np.int32) << FLAGS_FROM
    return both


def without_flags(both: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ids, int32, and the flags, uint8."""
    return both & _IDS, (both >> FLAGS_FROM).astype(np.uint8)
