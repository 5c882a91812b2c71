"""Causal attention among the tokens of one document, or of one modality in a document.

Tokens come and go in modality order. Which of them share a segment is prepared once per batch as a `Layout`, of one of
several kinds; the layout is the choice of the kernels. `BucketLayout` trains on any device with PyTorch's own
attention; `unix_lib.models.gpu_attention` has those of flash-attn and FlexAttention,
`unix_lib.models.hugging_face_cache` the one of `generate()`.

Legend: T tokens, P padded slots of all buckets, S segments of a bucket, L its length, H query heads, K key and value
heads, E head width.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional


class Layout(Protocol):
    """The segments of one attention scope, ready for one kind of kernel; those of a batch have `to(device)` too."""

    def attend(self, states: Tensor, key_value_heads: int) -> Tensor:
        """Queries, keys and values (T, H + 2 K, E) to (T, H * E): a token sees the earlier ones of its segment."""
        ...


class _TensorFunction(torch.autograd.Function):
    """A function whose result is one tensor, which PyTorch's `apply` doesn't tell."""

    apply: Callable[..., Tensor]


class Gather(_TensorFunction):
    """Rows to other places, some perhaps twice. Backward gathers from `slots`, where each row's one gradient arrives:
    padding never reaches a real token, so it has none."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, members: Tensor, slots: Tensor) -> Tensor:
        ctx.save_for_backward(slots)
        return rows.index_select(0, members)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (slots,) = ctx.saved_tensors
        return gradients[0].index_select(0, slots), None, None


class SelectRows(_TensorFunction):
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


class _Rotate(_TensorFunction):
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
    heads = states.shape[1] - key_value_heads
    if torch.compiler.is_compiling():  # which fuses this, and can't follow writing into views
        first, second = states[:, :heads].chunk(2, dim=-1)
        turned = torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)
        return torch.cat([turned, states[:, heads:]], dim=1)
    return _Rotate.apply(states, cosine, sine, heads)


@dataclass(frozen=True)
class BucketLayout:
    """Segments right-padded to a common length, in buckets of similar length, so that no mask is ever built."""

    members: Tensor  # (P,), the row in each slot, bucket after bucket; row 0 in padding
    slots: Tensor  # (T,), the slot of each row
    shapes: Tensor  # int64 on the CPU, S and L of each bucket in turn

    def to(self, device: torch.device) -> "BucketLayout":
        """The shapes stay where Python reads them."""
        return BucketLayout(self.members.to(device), self.slots.to(device), self.shapes)

    def attend(self, states: Tensor, key_value_heads: int) -> Tensor:
        """See `Layout`."""
        padded = Gather.apply(states, self.members, self.slots)
        # While compiling one opaque operation, so that one graph serves all numbers and shapes of buckets.
        attention = _opaque_attention if torch.compiler.is_compiling() else _bucket_attention
        return SelectRows.apply(attention(padded, self.shapes, key_value_heads), self.slots)


def _bucket_attention(padded: Tensor, shapes: Tensor, key_value_heads: int) -> Tensor:
    """Causal attention in each segment, (P, H + 2 K, E) to (P, H * E)."""
    heads, width = padded.shape[1] - 2 * key_value_heads, padded.shape[2]
    groups = (heads, key_value_heads, key_value_heads)
    buckets = shapes.view(-1, 2).tolist()
    outputs = []
    for shape, part in zip(buckets, padded.split([count * length for count, length in buckets]), strict=True):
        split = part.view(*shape, sum(groups), width).transpose(1, 2).split(groups, dim=1)  # (S, heads, L, E)
        queries, keys, values = split
        attended = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True, enable_gqa=True)
        outputs.append(attended.transpose(1, 2).reshape(part.shape[0], heads * width))
    return torch.cat(outputs)


@torch.library.custom_op("unix_lib::bucket_attention", mutates_args=())
def _opaque_attention(padded: Tensor, shapes: Tensor, key_value_heads: int) -> Tensor:
    return _bucket_attention(padded, shapes, key_value_heads)


@_opaque_attention.register_fake
def _(padded: Tensor, shapes: Tensor, key_value_heads: int) -> Tensor:
    return padded.new_empty(padded.shape[0], (padded.shape[1] - 2 * key_value_heads) * padded.shape[2])


@torch.library.custom_op("unix_lib::bucket_attention_gradient", mutates_args=())
def _opaque_gradient(gradient: Tensor, padded: Tensor, shapes: Tensor, key_value_heads: int) -> Tensor:
    """Runs the forward pass again: what it would keep has no shape that a graph could know."""
    attend = partial(_bucket_attention, shapes=shapes, key_value_heads=key_value_heads)
    _, pull_back = torch.func.vjp(attend, padded)  # type: ignore[misc]
    gradients: tuple[Tensor] = pull_back(gradient)
    return gradients[0]


@_opaque_gradient.register_fake
def _(gradient: Tensor, padded: Tensor, shapes: Tensor, key_value_heads: int) -> Tensor:
    return torch.empty_like(padded)


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:
    padded, shapes, ctx.key_value_heads = inputs
    ctx.save_for_backward(padded, shapes)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
    return _opaque_gradient(gradient, *ctx.saved_tensors, ctx.key_value_heads), None, None


_opaque_attention.register_autograd(_backward, setup_context=_keep)
