"""Makes random choices that depend on a seed, an epoch and a sample's id, and on nothing else.

A generator that is drawn from in turn gives a sample other numbers when the order of records or the number of
workers changes. Here every choice is a hash: BLAKE2 turns a sample's id into 64 bits once, and an integer mixer
combines them with the hash of a label ("seed/epoch/purpose"), for a whole array of samples at a time.
"""

import hashlib

import numpy as np
import numpy.typing as npt


def hash_text(text: str) -> int:
    """64 bits of BLAKE2b."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finalizer of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): uint64 to uint64, one to one."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def draw_bits(samples: np.ndarray, label: str) -> np.ndarray:
    """One 64-bit number per sample.

    Args:
        samples: uint64 (N,), hashes of sample ids.
        label: what the numbers are for; another label gives independent numbers.

    Returns:
        uint64 (N,).
    """
    return _mix(_mix(samples ^ np.uint64(hash_text(label))) ^ samples)


def draw_uniform(samples: np.ndarray, label: str) -> np.ndarray:
    """One number in [0, 1) per sample, float64 (N,); see `draw_bits`."""
    return (draw_bits(samples, label) >> np.uint64(11)) * 2.0**-53
