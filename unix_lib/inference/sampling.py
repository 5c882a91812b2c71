"""From logits and one uniform number per request to a token: temperature, top-k, top-p, inverse of the distribution.

A request's uniform numbers depend only on its seed and the position, so its tokens don't depend on its batch.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unix_lib.models.configuration import ModelError


def check_sampling(seeds: Sequence[int], temperature: float, top_k: int, top_p: float) -> None:
    """Refuse settings that define no distribution, and seeds that no generator takes.

    Raises:
        ModelError: names the setting and its range.
    """
    if not 0 <= temperature < float("inf"):
        raise ModelError(f"temperature {temperature} must not be negative or infinite; 0 takes the most probable token")
    if top_k < 0:
        raise ModelError(f"top_k {top_k} must not be negative; 0 keeps all tokens")
    if not 0 < top_p <= 1:
        raise ModelError(f"top_p {top_p} must be above 0 and at most 1; 1 keeps all tokens")
    for seed in seeds:
        if not 0 <= seed < 2**64:
            raise ModelError(f"seed {seed} must be in 0..2**64 - 1")


def check_guidance(scale: float) -> None:
    """Refuse a guidance scale without meaning.

    Raises:
        ModelError: it is negative, infinite or no number.
    """
    if not 0 <= scale < float("inf"):
        raise ModelError(f"guidance {scale} must be 0 or more and finite; 1 goes without guidance")


def uniforms(seeds: Sequence[int], positions: int) -> npt.NDArray[np.float64]:
    """One number in [0, 1) per request and position, (requests, positions), from counter-based generators."""
    drawn = [np.random.Generator(np.random.Philox(key=seed)).random(positions) for seed in seeds]
    return np.stack(drawn) if drawn else np.empty((0, positions))


def sample(logits: Tensor, uniform: Tensor, *, temperature: float, top_k: int, top_p: float) -> Tensor:
    """Pick one entry per row.

    Top-p takes the smallest set of most probable entries whose mass, after top-k, reaches `top_p`.

    Args:
        logits: (B, V). uniform: (B,), in [0, 1). temperature: 0 takes the most probable entry. top_k: 0 keeps all.

    Returns:
        int64 (B,).
    """
    if temperature == 0:
        return logits.argmax(-1)
    scaled = logits.to(torch.float64, copy=True).div_(temperature)
    mass = uniform.to(scaled.dtype)
    if top_p == 1 and not 0 < top_k < logits.shape[-1]:  # nothing is left out, so nothing needs an order
        cumulative = torch.softmax(scaled, dim=-1).cumsum(-1)
        below = torch.searchsorted(cumulative, mass[:, None] * cumulative[:, -1:], right=True)
        return below.squeeze(1).clamp_(max=logits.shape[-1] - 1)
    ordered, entries = torch.sort(scaled, dim=-1, descending=True, stable=True)
    if 0 < top_k < logits.shape[-1]:
        ordered = ordered[:, :top_k]
    probability = torch.softmax(ordered, dim=-1)
    cumulative = probability.cumsum(-1)
    kept = cumulative - probability < top_p
    mass = mass * (probability * kept).sum(-1)
    below = (cumulative <= mass[:, None]) & kept
    chosen = torch.minimum(below.sum(-1), kept.sum(-1) - 1)
    return entries.gather(1, chosen[:, None]).squeeze(1)
