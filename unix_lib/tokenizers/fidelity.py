"""How well images survive their tokenizer, and how much of its codebook they use."""

import numpy as np


def psnr_db(squared_error: float, values: int) -> float:
    """Peak signal-to-noise ratio of 8-bit images, from the squared error summed over so many values."""
    # Lossless would be infinite, which JSON can't say.
    return float(10 * np.log10(255.0**2 / max(squared_error / values, 1e-9)))


def code_perplexity(counts: np.ndarray) -> float:
    """exp of the entropy of the codes' distribution: as many codes, used equally often, would be as hard to guess.

    Args:
        counts: int64 (K,), how often each code is used, at least one of them.
    """
    shares = counts[counts > 0] / counts.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))
