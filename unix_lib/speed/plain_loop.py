"""The baseline of image generation: the loop one writes first, with the same weights and the same samples.

Every token goes through both branches of a separated layer and keeps the result of its own; keys, values, ids and masks
are concatenated anew in each step; the mask is dense; the head computes all rows of the vocabulary.

Legend: R sequences, N new tokens, T all tokens, D width, H query heads, K key and value heads, E head width.
"""

import torch
from torch import Tensor
from torch.nn import functional

from unix_lib.inference.sampling import sample, uniforms
from unix_lib.models.attention import rotate
from unix_lib.models.decoder import UnixForCausalLM
from unix_lib.models.layers import DecoderLayer, rotary
from unix_lib.models.routing import is_vision
from unix_lib.speed.decoders import left_padded

Cache = list[tuple[Tensor, Tensor]]  # per layer, keys and values, (R, K, T, E)


@torch.inference_mode()
def plain_images(
    model: UnixForCausalLM,
    prompts: list[list[int]],
    unconditional: list[int],
    seeds: list[int],
    *,
    guidance_scale: float,
    temperature: float,
    top_k: int,
    top_p: float,
) -> Tensor:
    """Codes (requests, codes_per_image), the same as those of `generate_images`."""
    config, device = model.config, model.device
    rows = [*prompts, *([unconditional] * len(prompts))]
    new, mask = left_padded(rows, device)
    ids, caches, codes = new, Cache(), list[Tensor]()
    numbers = torch.from_numpy(uniforms(seeds, config.codes_per_image)).to(device)
    for place in range(config.codes_per_image):
        logits, caches = _forward(model, new, ids, mask, caches)
        conditional, free = logits.float().chunk(2)
        guided = (free + guidance_scale * (conditional - free))[:, config.image_rows]
        codes.append(sample(guided, numbers[:, place], temperature=temperature, top_k=top_k, top_p=top_p))
        new = (codes[-1] + config.image_offset).repeat(2)[:, None]
        ids, mask = torch.cat([ids, new], dim=1), torch.cat([mask, torch.ones_like(new)], dim=1)
    return torch.stack(codes, dim=1)


def _forward(model: UnixForCausalLM, new: Tensor, ids: Tensor, real: Tensor, caches: Cache) -> tuple[Tensor, Cache]:
    """Logits (R, V) of the last token, and longer caches."""
    config, count, total = model.config, new.shape[1], ids.shape[1]
    vision = is_vision(ids, config)
    earlier = torch.ones(total, total, dtype=torch.bool, device=ids.device).tril()[-count:]
    joint = (earlier & (real[:, None] != 0)) | torch.eye(total, dtype=torch.bool, device=ids.device)[-count:]
    within = joint & (vision[:, -count:, None] == vision[:, None])
    masks = {
        scope: torch.zeros(allowed.shape, dtype=model.dtype, device=ids.device).masked_fill(~allowed, -torch.inf)[
            :, None
        ]
        for scope, allowed in (("joint", joint), ("within_modality", within))
    }
    positions = (real.cumsum(1) - 1).clamp(min=0)[:, -count:]
    hidden = model.model.embed_tokens(new)
    turn = rotary(positions.flatten(), config.head_dim, config.rope_theta, hidden.dtype)
    longer: Cache = []
    for index, layer in enumerate(model.model.layers):
        before = caches[index] if caches else None
        hidden, cache = _layer(layer, hidden, vision[:, -count:, None], turn, masks[layer.plan.attention_scope], before)
        longer.append(cache)
    return model.lm_head(model.model.norm(hidden[:, -1])), longer


def _layer(  # noqa: PLR0917
    layer: DecoderLayer,
    hidden: Tensor,
    vision: Tensor,
    turn: tuple[Tensor, Tensor],
    mask: Tensor,
    before: tuple[Tensor, Tensor] | None,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """(R, N, D) to the same."""
    pairs, shape = layer.key_value_heads, hidden.shape[:2]
    branches = (True, False) if layer.plan.attention_weights == "per_modality" else (False,)
    projected = []
    for branch in branches:
        norm, attention = layer.attention_of(branch)
        projected.append(attention.project(norm(hidden).flatten(0, 1)).unflatten(0, shape))
    states = _own(projected, vision[..., None])
    states = rotate(states.flatten(0, 1), *turn, pairs).unflatten(0, shape).transpose(1, 2)
    queries, keys, values = states.split((states.shape[1] - 2 * pairs, pairs, pairs), dim=1)
    if before is not None:
        keys, values = torch.cat([before[0], keys], dim=2), torch.cat([before[1], values], dim=2)
    attended = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, enable_gqa=True)
    rows = attended.transpose(1, 2).flatten(2)
    hidden = hidden + _own([layer.attention_of(branch)[1].o_proj(rows) for branch in branches], vision)
    changes = []
    for branch in (True, False) if layer.plan.ffn != "shared" else (False,):
        norm, parts = layer.ffn_of(branch)
        normed = norm(hidden)
        changes.append(torch.stack([part(normed) for part in parts]).sum(0))
    return hidden + _own(changes, vision), (keys, values)


def _own(branches: list[Tensor], vision: Tensor) -> Tensor:
    """Of the results of the vision and the text branch, each token's own."""
    return torch.where(vision, branches[0], branches[1]) if len(branches) == 2 else branches[0]
