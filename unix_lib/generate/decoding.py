"""Step-by-step decoding of one modality: prompts in, hidden states of the next position out.

The prompts run once through the packed forward pass; equal prompts once together. After that every sequence gets one
token per step, all of the same modality, so a step runs one branch of each layer and a separated layer's cache holds
that modality only. Caches are allocated once for the whole length; prompts are right-aligned in them, so that a step
writes one column for all sequences, and a mask hides what lies before a shorter prompt.

Legend: R sequences, U distinct prompts, T prompt tokens, D width, K key and value heads, G query heads per key head,
E head width, C columns of a cache.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from unix_lib.models.attention import rotate
from unix_lib.models.configuration import ModelError
from unix_lib.models.decoder import UnixForCausalLM
from unix_lib.models.layers import rotary
from unix_lib.models.routing import Documents, build_batch, is_vision, move_batch

_NOT_FOR_THE_MODEL = ("target_rows", "targets", "target_is_image", "packed_rows")


@dataclass
class _Alignment:
    """Where one attention scope's prompt tokens go in the caches, and what a step may see."""

    tokens: Tensor  # rows, in modality order, of the prompt tokens that are cached
    prompt: Tensor  # the distinct prompt of each
    column: Tensor  # the column of each
    width: int  # columns taken by the longest prompt
    mask: Tensor | None  # (R, 1, 1, C), 0 or -inf; None where nothing is to be hidden


class Decoding:
    """Sequences being continued with tokens of one modality."""

    def __init__(
        self, model: UnixForCausalLM, prompts: Sequence[Sequence[int]], new_tokens: int, *, vision: bool
    ) -> None:
        """Run the prompts.

        Args:
            prompts: R prompts of any lengths, text and image ids mixed.
            new_tokens: steps that the caches must hold.
            vision: whether the new tokens are image codes (else text).

        Raises:
            ModelError: an empty prompt, or one that is too long for the model's positions.
        """
        self.model, self.vision, self.steps = model, vision, 0
        device = model.device
        distinct = list(dict.fromkeys(tuple(prompt) for prompt in prompts))
        _check_lengths(distinct, new_tokens, model.config.max_position_embeddings)
        place = {prompt: index for index, prompt in enumerate(distinct)}
        rows = torch.tensor([place[tuple(prompt)] for prompt in prompts], device=device)

        documents = Documents.of(distinct)
        batch = move_batch(build_batch([documents], model.config), device)
        kept: list[Tensor] = []
        inputs = {name: value for name, value in batch.items() if name not in _NOT_FOR_THE_MODEL}
        hidden = model.model(**inputs, kept=kept)
        lengths = documents.document_lengths.astype(np.int64)
        last = batch["packed_rows"][torch.from_numpy(np.cumsum(lengths) - 1).to(device)]
        self.hidden: Tensor = hidden[last][rows]  # (R, D), of each sequence's newest token
        self._positions = torch.from_numpy(lengths).to(device)[rows]

        vision_tokens = is_vision(documents.input_ids, model.config)
        self._alignments = {
            "joint": self._align(documents, batch["packed_rows"], rows, np.ones_like(vision_tokens), new_tokens),
            "within_modality": self._align(documents, batch["packed_rows"], rows, vision_tokens == vision, new_tokens),
        }
        self._caches = [
            _cache(states, self._alignments[layer.plan.attention_scope], rows, len(distinct), new_tokens)
            for layer, states in zip(model.model.layers, kept, strict=True)
        ]

    def _align(
        self,
        documents: Documents,
        packed_rows: Tensor,
        rows: Tensor,
        cached: npt.NDArray[np.bool_],
        new_tokens: int,
    ) -> _Alignment:
        lengths = documents.document_lengths
        prompt = np.repeat(np.arange(len(lengths)), lengths)[cached]
        counts = np.bincount(prompt, minlength=len(lengths))
        width = int(counts.max())
        before = np.cumsum(counts) - counts
        column = np.arange(len(prompt)) - before[prompt] + (width - counts)[prompt]
        mask = None
        if counts.min() < width:
            hidden_columns = np.arange(width + new_tokens) < (width - counts)[:, None]  # (U, C)
            mask = torch.zeros(hidden_columns.shape, dtype=self.hidden.dtype, device=rows.device)
            mask = mask.masked_fill(torch.from_numpy(hidden_columns).to(rows.device), -torch.inf)[rows, None, None]
        device = rows.device
        return _Alignment(
            tokens=packed_rows[torch.from_numpy(np.flatnonzero(cached)).to(device)],
            prompt=torch.from_numpy(prompt).to(device),
            column=torch.from_numpy(column).to(device),
            width=width,
            mask=mask,
        )

    def step(self, ids: Tensor) -> Tensor:
        """Feed the next token of every sequence, (R,), and get its hidden state, (R, D), normed for the head."""
        config = self.model.config
        hidden = self.model.model.embed_tokens(ids)
        cosine, sine = rotary(self._positions + self.steps, config.head_dim, config.rope_theta, hidden.dtype)
        heads, pairs = config.num_attention_heads, config.num_key_value_heads
        for layer, cache in zip(self.model.model.layers, self._caches, strict=True):
            norm, attention = layer.attention_of(self.vision)
            states = rotate(attention.project(norm(hidden)), cosine, sine, pairs)
            alignment = self._alignments[layer.plan.attention_scope]
            column = alignment.width + self.steps
            cache[:, :, column] = states[:, heads:]
            # The query heads of one key head stand where a sequence of queries would: (R, K, G, E).
            attended = functional.scaled_dot_product_attention(
                states[:, :heads].unflatten(1, (pairs, -1)),
                cache[:, :pairs, : column + 1],
                cache[:, pairs:, : column + 1],
                attn_mask=None if alignment.mask is None else alignment.mask[..., : column + 1],
            )
            hidden = hidden + attention.o_proj(attended.flatten(1))
            norm, ffn = layer.ffn_of(self.vision)
            hidden = hidden + ffn(norm(hidden))
        self.steps += 1
        self.hidden = self.model.model.norm(hidden)
        return self.hidden


def _cache(array: Tensor, alignment: _Alignment, rows: Tensor, prompts: int, new_tokens: int) -> Tensor:
    """A cache (R, 2 K, C, E) that begins with the prompts' keys and values, taken from (T, 2 K, E)."""
    filled = array.new_zeros(prompts, array.shape[1], alignment.width + new_tokens, array.shape[2])
    filled[alignment.prompt, :, alignment.column] = array[alignment.tokens]
    return filled[rows]


def _check_lengths(prompts: Sequence[Sequence[int]], new_tokens: int, positions: int) -> None:
    for prompt in prompts:
        if not prompt:
            raise ModelError("an empty prompt can't be continued; give at least one token")
        if len(prompt) + new_tokens > positions:
            raise ModelError(
                f"a prompt of {len(prompt)} tokens and {new_tokens} new ones exceed the model's {positions} positions; "
                "shorten the prompt or ask for fewer tokens"
            )
