"""The decoder layer: Qwen's attention and feed-forward maths, with vision copies where its plan says so.

Module names are Qwen2's and Qwen3's, so a shared decoder has exactly their tensors; vision copies are the same
modules with the prefix `vision_`.

Legend: T tokens in modality order, D width, H query heads, K key and value heads, E head width.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.modeling_layers import GradientCheckpointingLayer

from unix_lib.config.models import LayerPlan
from unix_lib.models.attention import Layout, rotate
from unix_lib.models.configuration import UnixConfig

Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Route:
    """What every layer of one forward pass shares."""

    sizes: tuple[int, int]  # text tokens, vision tokens
    cosine: Tensor  # (T, 1, E / 2)
    sine: Tensor  # (T, 1, E / 2)
    layouts: dict[str, Layout]  # by attention scope
    kept: list[Tensor] | None = None  # where decoding wants each layer's keys and values, (T, 2 K, E)

    def rotate(self, states: Tensor, key_value_heads: int) -> Tensor:
        """Apply the rotary embedding to the queries and keys of (T, H + 2 K, E); the values stay."""
        return rotate(states, self.cosine, self.sine, key_value_heads)


class RMSNorm(nn.Module):
    """Root-mean-square norm, in float32 or better."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, hidden: Tensor) -> Tensor:
        wide = hidden.to(torch.promote_types(hidden.dtype, torch.float32))
        scaled = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
        return self.weight * scaled.to(hidden.dtype)


def rotary(positions: Tensor, width: int, theta: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the rotary embedding, each (T, 1, E / 2), computed in float32 or better.

    Args:
        positions: int64 (T,), counted from each document's start.
        width: E. theta: base of the frequencies.
    """
    wide = torch.promote_types(dtype, torch.float32)
    exponents = torch.arange(0, width, 2, dtype=wide, device=positions.device) / width
    angles = positions[:, None, None].to(wide) * (1.0 / theta**exponents)
    return angles.cos().to(dtype), angles.sin().to(dtype)


class Attention(nn.Module):
    """Projections of one attention layer; who sees whom is decided by the caller."""

    def __init__(self, config: UnixConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        heads, key_value_heads = config.num_attention_heads * self.head_dim, config.num_key_value_heads * self.head_dim
        self.q_proj = nn.Linear(config.hidden_size, heads, bias=config.attention_bias)
        self.k_proj = nn.Linear(config.hidden_size, key_value_heads, bias=config.attention_bias)
        self.v_proj = nn.Linear(config.hidden_size, key_value_heads, bias=config.attention_bias)
        self.o_proj = nn.Linear(heads, config.hidden_size, bias=False)
        self.q_norm = RMSNorm(self.head_dim, config.rms_norm_eps) if config.query_key_norm else None
        self.k_norm = RMSNorm(self.head_dim, config.rms_norm_eps) if config.query_key_norm else None

    def project(self, hidden: Tensor) -> Tensor:
        """Normed hidden states (T, D) to queries, keys and values, (T, H + 2 K, E), before rotation."""
        query = self.q_proj(hidden).unflatten(-1, (-1, self.head_dim))
        key = self.k_proj(hidden).unflatten(-1, (-1, self.head_dim))
        value = self.v_proj(hidden).unflatten(-1, (-1, self.head_dim))
        if self.q_norm is not None and self.k_norm is not None:
            query, key = self.q_norm(query), self.k_norm(key)
        return torch.cat([query, key, value], dim=1)


class FeedForward(nn.Module):
    """SwiGLU."""

    __call__: Callable[..., Tensor]

    def __init__(self, hidden_size: int, width: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(hidden_size, width, bias=False)
        self.up_proj = nn.Linear(hidden_size, width, bias=False)
        self.down_proj = nn.Linear(width, hidden_size, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        change: Tensor = self.down_proj(functional.silu(self.gate_proj(hidden)) * self.up_proj(hidden))
        return change


def _each(hidden: Tensor, sizes: tuple[int, int], text: Function, vision: Function) -> Tensor:
    """The rows of each modality, (T, D), through a function of its own."""
    of_text, of_vision = hidden.split(sizes)
    return torch.cat([text(of_text), vision(of_vision)])


class LayerMaths:
    """What one layer does, whatever holds its weights: modules in training, laid-out weights in decoding."""

    plan: LayerPlan
    key_value_heads: int
    input_layernorm: Any
    self_attn: Any
    post_attention_layernorm: Any
    mlp: Any
    vision_input_layernorm: Any
    vision_self_attn: Any
    vision_post_attention_layernorm: Any
    vision_mlp: Any
    shared_mlp: Any

    def forward(self, hidden: Tensor, route: Route) -> Tensor:
        """(T, D) to (T, D), both in modality order."""
        states = self.query_key_value(hidden, route)
        if route.kept is not None:
            route.kept.append(states[:, -2 * self.key_value_heads :])
        attended = route.layouts[self.plan.attention_scope].attend(states, self.key_value_heads)
        if self.plan.attention_weights == "per_modality":
            hidden = hidden + _each(attended, route.sizes, self.self_attn.o_proj, self.vision_self_attn.o_proj)
        else:
            hidden = hidden + self.self_attn.o_proj(attended)
        return self.feed_forward(hidden, route.sizes)

    def query_key_value(self, hidden: Tensor, route: Route) -> Tensor:
        """Hidden states (T, D) to rotated queries, rotated keys and values, (T, H + 2 K, E)."""
        if self.plan.attention_weights == "per_modality":
            states = _each(
                hidden,
                route.sizes,
                lambda text: self.self_attn.project(self.input_layernorm(text)),
                lambda vision: self.vision_self_attn.project(self.vision_input_layernorm(vision)),
            )
        else:
            states = self.self_attn.project(self.input_layernorm(hidden))
        return route.rotate(states, self.key_value_heads)

    def feed_forward(self, hidden: Tensor, sizes: tuple[int, int]) -> Tensor:
        """The second half of the layer, (T, D) to (T, D)."""
        if self.plan.ffn == "per_modality":
            return hidden + _each(
                hidden,
                sizes,
                lambda text: self.mlp(self.post_attention_layernorm(text)),
                lambda vision: self.vision_mlp(self.vision_post_attention_layernorm(vision)),
            )
        if self.plan.ffn == "shared_plus_vision":
            normed = self.post_attention_layernorm(hidden)
            hidden = hidden + _each(
                normed, sizes, self.mlp, self.vision_mlp if self.plan.ffn_vision_width else torch.zeros_like
            )
            return hidden + self.shared_mlp(normed) if self.plan.ffn_shared_width else hidden
        changed: Tensor = hidden + self.mlp(self.post_attention_layernorm(hidden))
        return changed


class DecoderLayer(LayerMaths, GradientCheckpointingLayer):
    """One layer of the table: norm, attention, norm, feed-forward, each once or once per modality."""

    def __init__(self, config: UnixConfig, plan: LayerPlan) -> None:
        super().__init__()
        self.plan, self.key_value_heads = plan, config.num_key_value_heads
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = FeedForward(config.hidden_size, config.intermediate_size)
        if plan.attention_weights == "per_modality":
            self.vision_input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
            self.vision_self_attn = Attention(config)
        if plan.ffn == "per_modality":
            self.vision_post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
            self.vision_mlp = FeedForward(config.hidden_size, config.intermediate_size)
        if plan.ffn_shared_width:
            self.shared_mlp = FeedForward(config.hidden_size, plan.ffn_shared_width)
        if plan.ffn_vision_width:
            self.vision_mlp = FeedForward(config.hidden_size, plan.ffn_vision_width)

    def attention_of(self, vision: bool) -> tuple[RMSNorm, Attention]:
        """The norm and the attention weights that a modality's tokens use."""
        if vision and self.plan.attention_weights == "per_modality":
            return self.vision_input_layernorm, self.vision_self_attn
        return self.input_layernorm, self.self_attn

    def modules_of(self, vision: bool) -> list[nn.Module]:
        """All modules that a modality's tokens pass."""
        norm, parts = self.ffn_of(vision)
        return [*self.attention_of(vision), norm, *parts]

    def ffn_of(self, vision: bool) -> tuple[RMSNorm, list[FeedForward]]:
        """The norm and the feed-forward layers, whose changes are added, that a modality's tokens use."""
        if vision and self.plan.ffn == "per_modality":
            return self.vision_post_attention_layernorm, [self.vision_mlp]
        parts = [] if vision and self.plan.ffn == "shared_plus_vision" else [self.mlp]
        if vision and self.plan.ffn_vision_width:
            parts.append(self.vision_mlp)
        if self.plan.ffn_shared_width:
            parts.append(self.shared_mlp)
        return self.post_attention_layernorm, parts
