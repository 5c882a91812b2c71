"""The decoder on Hugging Face's own cache: what `generate()` runs for text, with left padding and beams.

All keys and values stay in the cache, whatever their modality; a separated layer's scope is a mask. Which tokens are
vision tokens is one more layer of the cache, so that it follows when beams are reordered or tokens are cropped. Plain
rather than fast: dense masks, built in every call, and arrays that grow. `unix_lib.generate` is the fast way.

Legend: B sequences, P tokens in the cache, N new ones, T = P + N, D width, H query heads, K key and value heads,
E head width.
"""

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torch.nn import functional
from transformers import Cache
from transformers.cache_utils import DynamicLayer

from unix_lib.models.attention import rotate
from unix_lib.models.configuration import ModelError
from unix_lib.models.layers import DecoderLayer, rotary
from unix_lib.models.routing import is_vision

if TYPE_CHECKING:
    from unix_lib.models.decoder import UnixModel


def continued(model: "UnixModel", input_ids: Tensor, attention_mask: Tensor | None, cache: Cache) -> Tensor:
    """Run new tokens after those in the cache, which takes them up.

    Args:
        input_ids: int64 (B, N), the new tokens.
        attention_mask: (B, T), of the cached and the new tokens; 0 marks padding, left or right.
        cache: empty, or filled by this function.

    Returns:
        normed hidden states, (B, N, D); those of padding mean nothing.

    Raises:
        ModelError: a mask of another shape, or a cache of fixed size.
    """
    if cache.is_compileable:
        raise ModelError("a cache of fixed size doesn't serve here; leave cache_implementation out")
    config, (batch, new) = model.config, input_ids.shape
    total = cache.get_seq_length() + new
    if attention_mask is None:
        attention_mask = input_ids.new_ones(batch, total)
    if attention_mask.shape != (batch, total):
        raise ModelError(
            f"attention_mask is {tuple(attention_mask.shape)}, cached and new tokens are {(batch, total)}; give one "
            "value for each of them"
        )
    vision: Tensor = is_vision(cast("Any", input_ids), config)  # type: ignore[assignment]  # a tensor gives a tensor
    masks = _masks(attention_mask != 0, _remembered(vision, cache, config.num_hidden_layers), new)

    positions = (attention_mask.long().cumsum(1) - 1).clamp(min=0)[:, -new:]
    order = torch.argsort(vision.flatten(), stable=True)  # modality order, as the layers want it
    back = torch.argsort(order)
    hidden = model.embed_tokens(input_ids.flatten()[order])  # (B N, D)
    turn = rotary(positions.flatten()[order], config.head_dim, config.rope_theta, hidden.dtype)
    sizes = (int((~vision).sum()), int(vision.sum()))
    for index, layer in enumerate(cast("list[DecoderLayer]", model.layers)):
        pairs = layer.key_value_heads
        own = [layer.attention_of(side) for side in (False, True)]
        parts = zip(own, hidden.split(sizes), strict=True)
        projected = torch.cat([attention.project(norm(part)) for (norm, attention), part in parts])
        states = rotate(projected, *turn, pairs)[back].unflatten(0, (batch, new)).transpose(1, 2)
        queries, keys, values = states.split((states.shape[1] - 2 * pairs, pairs, pairs), dim=1)  # (B, heads, N, E)
        keys, values = cache.update(keys, values, index)
        mask = masks[layer.plan.attention_scope]
        attended = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, enable_gqa=True)
        rows = attended.transpose(1, 2).reshape(batch * new, -1)[order].split(sizes)
        hidden = hidden + torch.cat([own[side][1].o_proj(part) for side, part in enumerate(rows)])
        ffns = zip((layer.ffn_of(side) for side in (False, True)), hidden.split(sizes), strict=True)
        hidden = hidden + torch.cat([ffn(norm(part)) for (norm, ffn), part in ffns])
    return model.norm(hidden)[back].unflatten(0, (batch, new))


def _remembered(vision: Tensor, cache: Cache, layers: int) -> Tensor:
    """Which of all tokens are vision tokens, bool (B, T), once the new ones, (B, N), are taken up."""
    if len(cache.layers) == layers:
        cache.layers.append(DynamicLayer())
    flags = vision[:, None, :, None].float()  # as keys: (B, 1, N, 1)
    return cache.update(flags, flags, layers)[0][:, 0, :, 0] > 0


def _masks(real: Tensor, vision: Tensor, new: int) -> dict[str, Tensor]:
    """What each new token sees, by attention scope, bool (B, 1, N, T); padding sees itself, so that nothing is NaN."""
    place = torch.arange(real.shape[1], device=real.device)
    own = place[-new:, None] == place
    joint = ((place[-new:, None] >= place) & real[:, None, :]) | own
    within = joint & (vision[:, -new:, None] == vision[:, None, :])
    return {"joint": joint[:, None], "within_modality": within[:, None]}
