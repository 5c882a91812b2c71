"""The decoder once more, as plainly as possible: a loop over documents and modalities, dense masks, no index tricks."""

import torch
from torch import Tensor

from unix_lib.config.models import LayerPlan
from unix_lib.models import UnixConfig


def reference_logits(weights: dict[str, Tensor], config: UnixConfig, document: list[int]) -> Tensor:
    """Logits (length, V) of one document."""
    vision = torch.tensor([token >= config.image_offset or token == config.vision_start_id for token in document])
    hidden = weights["model.embed_tokens.weight"][torch.tensor(document)]
    for index, row in enumerate(config.layer_plan):
        prefix = f"model.layers.{index}."
        layer = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        hidden = _layer(layer, config, LayerPlan(**row), hidden, vision)
    hidden = norm(hidden, weights["model.norm.weight"], config.rms_norm_eps)
    return hidden @ weights.get("lm_head.weight", weights["model.embed_tokens.weight"]).T


def norm(hidden: Tensor, weight: Tensor, eps: float) -> Tensor:
    return hidden / torch.sqrt((hidden * hidden).mean(-1, keepdim=True) + eps) * weight


def _layer(layer: dict[str, Tensor], config: UnixConfig, plan: LayerPlan, hidden: Tensor, vision: Tensor) -> Tensor:
    length, (heads, groups, width) = (
        len(hidden),
        (config.num_attention_heads, config.num_key_value_heads, config.head_dim),
    )
    states = {}
    for name, count in (("q", heads), ("k", groups), ("v", groups)):
        rows = []
        for token in range(length):
            copy = "vision_" if plan.attention_weights == "per_modality" and vision[token] else ""
            normed = norm(hidden[token], layer[f"{copy}input_layernorm.weight"], config.rms_norm_eps)
            projected = layer[f"{copy}self_attn.{name}_proj.weight"] @ normed
            if config.attention_bias:
                projected = projected + layer[f"{copy}self_attn.{name}_proj.bias"]
            projected = projected.view(count, width)
            if config.query_key_norm and name in "qk":
                projected = norm(projected, layer[f"{copy}self_attn.{name}_norm.weight"], config.rms_norm_eps)
            rows.append(rotated(projected, token, config.rope_theta) if name in "qk" else projected)
        states[name] = torch.stack(rows)  # (length, count, width)
    allowed = torch.ones(length, length, dtype=torch.bool).tril()
    if plan.attention_scope == "within_modality":
        allowed &= vision[:, None] == vision[None, :]
    outputs = []
    for head in range(heads):
        group = head // (heads // groups)
        scores = states["q"][:, head] @ states["k"][:, group].T / width**0.5
        outputs.append(torch.softmax(scores.masked_fill(~allowed, float("-inf")), -1) @ states["v"][:, group])
    attended = torch.cat(outputs, -1)
    result = []
    for token in range(length):
        copy = "vision_" if plan.attention_weights == "per_modality" and vision[token] else ""
        middle = hidden[token] + layer[f"{copy}self_attn.o_proj.weight"] @ attended[token]
        copy = "vision_" if plan.ffn == "per_modality" and vision[token] else ""
        normed = norm(middle, layer[f"{copy}post_attention_layernorm.weight"], config.rms_norm_eps)
        passed = [f"{copy}mlp"]
        if plan.ffn == "shared_plus_vision":
            passed = ["vision_mlp"] if vision[token] and plan.ffn_vision_width else [] if vision[token] else ["mlp"]
            passed += ["shared_mlp"] if plan.ffn_shared_width else []
        for module in passed:
            gate = layer[f"{module}.gate_proj.weight"] @ normed
            up = layer[f"{module}.up_proj.weight"] @ normed
            middle = middle + layer[f"{module}.down_proj.weight"] @ (gate * torch.sigmoid(gate) * up)
        result.append(middle)
    return torch.stack(result)


def rotated(state: Tensor, position: int, theta: float) -> Tensor:
    """Rotate pairs (i, i + width / 2) as complex numbers."""
    half = state.shape[-1] // 2
    frequency = theta ** (-torch.arange(half, dtype=state.dtype) / half)
    turned = torch.complex(state[:, :half], state[:, half:]) * torch.polar(
        torch.ones_like(frequency), position * frequency
    )
    return torch.cat([turned.real, turned.imag], -1)
