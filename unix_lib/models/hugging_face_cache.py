"""Attention over Hugging Face's own cache, which is what `generate()` runs on, with left padding and beams.

All keys and values stay in the cache, whatever their modality; a separated layer's scope is a mask. Which tokens are
vision tokens is one more layer of the cache, so that it follows when beams are reordered or tokens are cropped. Plain
rather than fast: dense masks, built in every call, and arrays that grow. `unix_lib.inference` is the fast way.

Legend: B sequences, P tokens in the cache, N new ones, T = P + N, H query heads, K key and value heads, E head width.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor
from torch.nn import functional
from transformers import Cache
from transformers.cache_utils import DynamicLayer

from unix_lib.models.configuration import UnixConfig
from unix_lib.models.routing import Batch, check_ids, is_vision


@dataclass(frozen=True)
class CacheLayout:
    """New tokens see those in the cache and each other: a `Layout` for one pass through all layers."""

    cache: Cache
    layers: Iterator[int]  # the layer whose turn it is; shared by the layouts of a pass
    mask: Tensor  # bool (B, 1, N, T), what each new token sees
    order: Tensor  # (B N,), the token in each row of the modality order
    packed_rows: Tensor  # (B N,), the row of each token

    def attend(self, states: Tensor, key_value_heads: int) -> Tensor:
        """See `Layout`; the cache takes up the keys and values."""
        batch, _, new, _ = self.mask.shape
        heads = states.shape[1] - 2 * key_value_heads
        states = states[self.packed_rows].unflatten(0, (batch, new)).transpose(1, 2)  # (B, H + 2 K, N, E)
        queries, keys, values = states.split((heads, key_value_heads, key_value_heads), dim=1)
        keys, values = self.cache.update(keys, values, next(self.layers))
        attended = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=self.mask, enable_gqa=True)
        return attended.transpose(1, 2).reshape(batch * new, -1)[self.order]


def cached_batch(config: UnixConfig, input_ids: Tensor, real: Tensor, cache: Cache) -> Batch:
    """What `UnixModel.forward` needs to run new tokens after those in the cache.

    Args:
        input_ids: int64 (B, N), the new tokens.
        real: bool (B, T), which of the cached and the new tokens are not padding.
        cache: one that grows, empty or filled by earlier passes.

    Returns:
        input_ids, text_positions, vision_positions, joint, within, packed_rows: as `build_batch` names them, on the
        device of `input_ids`. Hidden states of padding mean nothing.

    Raises:
        ModelError: an id that names no token.
    """
    new = input_ids.shape[1]
    check_ids(input_ids[real[:, -new:]].cpu().numpy(), config)
    vision = is_vision(input_ids, config)
    order = torch.argsort(vision.flatten(), stable=True)
    text_tokens = vision.numel() - int(vision.sum())
    positions = token_positions(real)[:, -new:].flatten()[order]
    packed_rows, layers = torch.argsort(order), count()
    joint, within = _masks(real, _remembered(vision, cache, config.num_hidden_layers), new)
    return {
        "input_ids": input_ids.flatten()[order],
        "text_positions": positions[:text_tokens],
        "vision_positions": positions[text_tokens:],
        "joint": CacheLayout(cache, layers, joint, order, packed_rows),
        "within": CacheLayout(cache, layers, within, order, packed_rows),
        "packed_rows": packed_rows,
    }


def token_positions(real: Tensor) -> Tensor:
    """Positions int64 (B, T), counted from each sequence's first token; `real` is bool (B, T), False in padding."""
    return (real.long().cumsum(1) - 1).clamp(min=0)


def _remembered(vision: Tensor, cache: Cache, layers: int) -> Tensor:
    """Which of all tokens are vision tokens, bool (B, T), once the new ones, (B, N), are taken up."""
    if len(cache.layers) == layers:
        cache.layers.append(DynamicLayer())
    flags = vision[:, None, :, None].float()  # as keys: (B, 1, N, 1)
    return cache.update(flags, flags, layers)[0][:, 0, :, 0] > 0


def _masks(real: Tensor, vision: Tensor, new: int) -> tuple[Tensor, Tensor]:
    """What each new token sees, jointly and within its modality, bool (B, 1, N, T).

    Padding sees itself, so that nothing is NaN.
    """
    place = torch.arange(real.shape[1], device=real.device)
    own = place[-new:, None] == place
    joint = ((place[-new:, None] >= place) & real[:, None, :]) | own
    within = joint & (vision[:, -new:, None] == vision[:, None, :])
    return joint[:, None], within[:, None]
