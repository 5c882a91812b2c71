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


def segment_attention(query: Tensor, key: Tensor, value: Tensor, segments: list[Tensor], slots: Tensor) -> Tensor:
    """Causal attention in which a token sees the earlier tokens of its own segment.

    Args:
        query: (T, H, E). key, value: (T, K, E).
        segments: buckets (S, L) of rows, right-padded; slots: (T,), see `unix_lib.models.routing.build_batch`.

    Returns:
        (T, H * E).
    """
    heads, width = query.shape[1], query.shape[2]
    groups = (heads, key.shape[1], key.shape[1])
    rows = torch.cat([query, key, value], dim=1)  # (T, H + 2 K, E)
    padded = _Pad.apply(rows, torch.cat([bucket.flatten() for bucket in segments]), slots)
    outputs = []
    for bucket, part in zip(segments, padded.split([bucket.numel() for bucket in segments]), strict=True):
        split = part.view(*bucket.shape, sum(groups), width).transpose(1, 2).split(groups, dim=1)  # (S, heads, L, E)
        queries, keys, values = split
        attended = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True, enable_gqa=True)
        outputs.append(attended.transpose(1, 2).reshape(bucket.numel(), heads * width))
    return SelectRows.apply(torch.cat(outputs), slots)
