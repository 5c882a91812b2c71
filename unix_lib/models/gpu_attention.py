"""Attention with the kernels of GPUs: flash-attn's variable-length attention and PyTorch's FlexAttention.

Both take all segments one behind the other, without padding. FlexAttention also runs forward on the CPU;
flash-attn and FlexAttention's training need a GPU, and so do their tests.

Legend: T tokens, S segments, H query heads, K key and value heads, E head width, B blocks of `BLOCK` tokens.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unix_lib.models.attention import Gather
from unix_lib.models.configuration import ModelError

Kernels = Literal["sdpa", "flash_attention_2", "flex_attention"]
BLOCK = 128  # FlexAttention skips blocks of this many queries and keys

IntArray = npt.NDArray[np.int64]


def check_kernels(kernels: str, device: torch.device, dtype: torch.dtype, *, training: bool) -> None:
    """Refuse attention kernels that can't run.

    Raises:
        ModelError: unknown kernels, or those whose package, device or precision is missing.
    """
    if kernels not in get_args(Kernels):
        raise ModelError(f"attention '{kernels}' is unknown; choose one of {', '.join(get_args(Kernels))}")
    remedy = "set train.attention: sdpa"
    if kernels == "flash_attention_2":
        if device.type != "cuda":
            raise ModelError(f"attention '{kernels}' runs on NVIDIA GPUs, the model is on {device.type}; {remedy}")
        if dtype not in (torch.bfloat16, torch.float16):
            raise ModelError(f"attention '{kernels}' has no {dtype}; set train.precision: bfloat16, or {remedy}")
        if find_spec("flash_attn") is None:
            raise ModelError(f"attention '{kernels}' needs flash-attn; install envs/gpu.txt, or {remedy}")
    if kernels == "flex_attention" and training and device.type != "cuda":
        raise ModelError(f"attention '{kernels}' has no backward pass on {device.type}; {remedy}")


def fastest_kernels(device: torch.device) -> Kernels:
    """PyTorch's own on the CPU; on GPUs those that skip what no token sees: flash-attn where installed, else flex."""
    if device.type != "cuda":
        return "sdpa"
    return "flash_attention_2" if find_spec("flash_attn") is not None else "flex_attention"


@dataclass(frozen=True)
class FlashLayout:
    """Segments one behind the other, by where they begin."""

    members: Tensor  # (T,), the row in each place
    slots: Tensor  # (T,), the place of each row
    cumulative_lengths: Tensor  # int32 (S + 1,)
    longest: int

    @classmethod
    def of(cls, begins: IntArray, rows: IntArray) -> "FlashLayout":
        """From where segments begin, (S,), and the row of each token in the order of the segments, (T,)."""
        cumulative = np.append(begins, len(rows))
        return cls(
            torch.from_numpy(rows),
            torch.from_numpy(inverse(rows)),
            torch.from_numpy(cumulative.astype(np.int32)),
            int(np.diff(cumulative).max()),
        )

    def to(self, device: torch.device) -> "FlashLayout":
        """On a device."""
        return FlashLayout(
            self.members.to(device), self.slots.to(device), self.cumulative_lengths.to(device), self.longest
        )

    def attend(self, states: Tensor, key_value_heads: int) -> Tensor:
        """See `unix_lib.models.attention.Layout`."""
        from flash_attn import flash_attn_varlen_func

        heads = states.shape[1] - 2 * key_value_heads
        queries, keys, values = Gather.apply(states, self.members, self.slots).split(
            (heads, key_value_heads, key_value_heads), dim=1
        )
        attended = flash_attn_varlen_func(
            queries,
            keys,
            values,
            self.cumulative_lengths,
            self.cumulative_lengths,
            self.longest,
            self.longest,
            causal=True,
        )
        return Gather.apply(attended.flatten(1), self.slots, self.members)


@dataclass(frozen=True)
class FlexLayout:
    """Segments one behind the other, with the blocks that hold something to see."""

    members: Tensor  # (T,), the row in each place
    slots: Tensor  # (T,), the place of each row
    first: Tensor  # (T,), the place where each token's segment begins
    mask: Any  # BlockMask over places

    @classmethod
    def of(cls, begins: IntArray, rows: IntArray) -> "FlexLayout":
        """From where segments begin, (S,), and the row of each token in the order of the segments, (T,)."""
        first = np.repeat(begins, np.diff(np.append(begins, len(rows))))
        seen = tuple(torch.from_numpy(blocks) for blocks in visible_blocks(first))
        return cls._with_mask(torch.from_numpy(rows), torch.from_numpy(inverse(rows)), torch.from_numpy(first), seen)

    @classmethod
    def _with_mask(cls, members: Tensor, slots: Tensor, first: Tensor, seen: tuple[Tensor, ...]) -> "FlexLayout":
        from torch.nn.attention.flex_attention import BlockMask

        def visible(_batch: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            return (key <= query) & (key >= first[query])

        mask = BlockMask.from_kv_blocks(
            kv_num_blocks=seen[0],
            kv_indices=seen[1],
            full_kv_num_blocks=seen[2],
            full_kv_indices=seen[3],
            BLOCK_SIZE=BLOCK,
            mask_mod=visible,
            seq_lengths=(len(first), len(first)),
        )
        return cls(members, slots, first, mask)

    def to(self, device: torch.device) -> "FlexLayout":
        """On a device; the mask looks into the tensors there."""
        mask = self.mask
        seen = (mask.kv_num_blocks, mask.kv_indices, mask.full_kv_num_blocks, mask.full_kv_indices)
        return self._with_mask(
            self.members.to(device),
            self.slots.to(device),
            self.first.to(device),
            tuple(blocks.to(device) for blocks in seen),
        )

    def attend(self, states: Tensor, key_value_heads: int) -> Tensor:
        """See `unix_lib.models.attention.Layout`."""
        heads = states.shape[1] - 2 * key_value_heads
        groups = (heads, key_value_heads, key_value_heads)
        ordered = Gather.apply(states, self.members, self.slots)
        queries, keys, values = (part[None] for part in ordered.transpose(0, 1).split(groups))  # (1, heads, T, E)
        attention = _flex_attention(states.device)
        attended = attention(queries, keys, values, block_mask=self.mask, enable_gqa=heads != key_value_heads)
        return Gather.apply(attended[0].transpose(0, 1).flatten(1), self.slots, self.members)


def _flex_attention(device: torch.device) -> Callable[..., Tensor]:
    """FlexAttention: compiled on GPUs, where it would else hold all scores; as it is on the CPU, without a compiler."""
    from torch.nn.attention.flex_attention import flex_attention

    attention: Callable[..., Tensor] = flex_attention
    return attention if device.type != "cuda" or torch.compiler.is_compiling() else _compiled(attention)


@cache
def _compiled(attention: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return torch.compile(attention)


def visible_blocks(first: IntArray) -> tuple[npt.NDArray[np.int32], ...]:
    """Blocks of keys that each block of queries sees, from where each token's segment begins, (T,).

    Segments lie one behind the other, so the blocks that a block of queries sees are neighbours: from the block where
    its first token's segment begins up to itself. Those between where its last token's segment begins and itself are
    seen by all its queries, whole; but a shorter last block of queries sees none whole, as PyTorch counts.

    Returns:
        counts (1, 1, B) and indices (1, 1, B, B) of the blocks seen in part, then the same of those seen whole.
    """
    blocks = -(-len(first) // BLOCK)
    own = np.arange(blocks)
    lowest = first[own * BLOCK] // BLOCK
    last = first[np.minimum((own + 1) * BLOCK, len(first)) - 1]
    whole_from = np.minimum(np.maximum(-(-last // BLOCK), lowest), own)
    complete = (own + 1) * BLOCK <= len(first)
    whole = (own >= whole_from[:, None]) & (own < own[:, None]) & complete[:, None]
    part = (own >= lowest[:, None]) & (own <= own[:, None]) & ~whole
    arrays = []
    for seen in (part, whole):
        arrays += [seen.sum(1), np.argsort(~seen, axis=1, kind="stable")]
    return tuple(array.astype(np.int32)[None, None] for array in arrays)


def inverse(rows: IntArray) -> IntArray:
    """Where each row stands in a permutation of rows."""
    places = np.empty_like(rows)
    places[rows] = np.arange(len(rows))
    return places
