"""Causal attention inside segments: rows in modality order in, rows in modality order out.

Legend: T tokens, P padded slots of all buckets, S segments of a bucket, L its length, H query heads, K key and value
heads, E head width.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


class _Pad(torch.autograd.Function):
    """Rows to padded slots. Backward is a gather too: padding never reaches a real token, so it has no gradient."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, members: Tensor, slots: Tensor) -> Tensor:
        ctx.save_for_backward(slots)
        return rows.index_select(0, members)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (slots,) = ctx.saved_tensors
        return gradients[0].index_select(0, slots), None, None


class SelectRows(torch.autograd.Function):
    """Distinct rows of an array; backward copies where the general gather would have to add."""

    @staticmethod
    def forward(ctx: Any, array: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.length = array.shape[0]
        return array.index_select(0, rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (rows,) = ctx.saved_tensors
        whole = gradients[0].new_zeros(ctx.length, *gradients[0].shape[1:])
        return whole.index_copy_(0, rows, gradients[0]), None


class _Rotate(torch.autograd.Function):
    """The rotary embedding on the first `heads` heads of (T, heads + K, E); its backward turns the other way."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, cosine: Tensor, sine: Tensor, heads: int) -> Tensor:
        ctx.save_for_backward(cosine, sine)
        ctx.heads = heads
        return _turned(states, cosine, sine, heads)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        cosine, sine = ctx.saved_tensors
        return _turned(gradients[0], cosine, -sine, ctx.heads), None, None, None


def _turned(states: Tensor, cosine: Tensor, sine: Tensor, heads: int) -> Tensor:
    turned = torch.empty_like(states)
    turned[:, heads:] = states[:, heads:]
    first, second = states[:, :heads].chunk(2, dim=-1)
    new_first, new_second = turned[:, :heads].chunk(2, dim=-1)
    torch.mul(first, cosine, out=new_first).sub_(second * sine)
    torch.mul(second, cosine, out=new_second).add_(first * sine)
    return turned


def rotate(states: Tensor, cosine: Tensor, sine: Tensor, key_value_heads: int) -> Tensor:
    """Apply the rotary embedding to the queries and keys of (T, H + 2 K, E); the values stay.

    Args:
        cosine, sine: (T, 1, E / 2). key_value_heads: K.
    """
    return _Rotate.apply(states, cosine, sine, states.shape[1] - key_value_heads)


def segment_attention(states: Tensor, key_value_heads: int, segments: list[Tensor], slots: Tensor) -> Tensor:
    """Causal attention in which a token sees the earlier tokens of its own segment.

    Args:
        states: queries, keys and values, (T, H + 2 K, E). key_value_heads: K.
        segments: buckets (S, L) of rows, right-padded; slots: (T,), see `unix_lib.models.routing.build_batch`.

    Returns:
        (T, H * E).
    """
    heads, width = states.shape[1] - 2 * key_value_heads, states.shape[2]
    groups = (heads, key_value_heads, key_value_heads)
    padded = _Pad.apply(states, torch.cat([bucket.flatten() for bucket in segments]), slots)
    outputs = []
    for bucket, part in zip(segments, padded.split([bucket.numel() for bucket in segments]), strict=True):
        split = part.view(*bucket.shape, sum(groups), width).transpose(1, 2).split(groups, dim=1)  # (S, heads, L, E)
        queries, keys, values = split
        attended = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True, enable_gqa=True)
        outputs.append(attended.transpose(1, 2).reshape(bucket.numel(), heads * width))
    return SelectRows.apply(torch.cat(outputs), slots)
