"""Where the keys and values of running sequences stand: a row of each cache for every sequence.

Every attention scope has caches of its own: `joint`, and for separated layers `text` and `vision`, of which only those
exist whose tokens are made. A sequence's tokens stand in the first columns of its row, in their order; the last column
of all takes what no sequence is to keep.

Legend: R rows, n of them in a step, C columns, W columns that are looked at, K key and value heads, G query heads per
key head, E head width, T prompt tokens, D width.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from unix_lib.models.decoder import UnixForCausalLM

SCOPES = ("joint", "text", "vision")


@dataclass(frozen=True)
class Prompt:
    """A prompt that has run: what its row begins with."""

    states: list[Tensor]  # of each layer, keys and values (T, 2 K, E), in the order of the prompt
    is_vision: Tensor  # bool (T,)
    hidden: Tensor  # (D,), of its last token, normed for the head


@dataclass(frozen=True)
class Window:
    """How much of the rows a step sees in one scope."""

    places: Tensor  # (n,), where each row writes, counted over all rows' columns
    masks: dict[int, Tensor]  # by W, (n, 1, 1, W), 0 up to a row's own place and -inf behind it
    width_of: Tensor  # (n, 1, 1, 1), each row's own W


class Slots:
    """The caches of all layers, and how full each row is."""

    def __init__(self, model: UnixForCausalLM, rows: int) -> None:
        """No cache is allocated before a row is filled."""
        self.plans = model.config.plans
        self.rows, self.capacity = rows, 0
        self.device, self.dtype = model.device, model.dtype
        self.heads = (model.config.num_attention_heads, model.config.num_key_value_heads, model.config.head_dim)
        self._caches: dict[str, list[Tensor]] = {}  # by scope, (R, C, 2 K, E) of each of its layers
        self.filled = {scope: torch.zeros(rows, dtype=torch.long, device=self.device) for scope in SCOPES}

    def layers_of(self, scope: str) -> list[int]:
        """Indices of the layers that have caches of a scope."""
        return [
            index for index, plan in enumerate(self.plans) if (plan.attention_scope == "joint") == (scope == "joint")
        ]

    def reserve(self, scopes: Sequence[str], columns: int) -> bool:
        """Make room for sequences of `columns` tokens; whether anything was moved."""
        grown = columns > self.capacity
        self.capacity = max(columns, self.capacity)
        missing = [scope for scope in scopes if scope not in self._caches]
        _, pairs, width = self.heads
        for scope in self._caches.keys() | missing if grown else missing:
            before = self._caches.get(scope)
            shape = (self.rows, self.capacity + 1, 2 * pairs, width)
            new = [torch.zeros(shape, dtype=self.dtype, device=self.device) for _ in self.layers_of(scope)]
            for old, cache in zip(before or [], new, strict=before is not None):
                cache[:, : old.shape[1] - 1] = old[:, :-1]
            self._caches[scope] = new
        return grown or bool(missing)

    def fill(self, row: int, prompt: Prompt) -> None:
        """Begin a row with a prompt; what stood there is cleared, as a NaN would spoil even what is not looked at."""
        members = {"joint": torch.ones_like(prompt.is_vision), "text": ~prompt.is_vision, "vision": prompt.is_vision}
        for scope, chosen in members.items():
            places = chosen.nonzero().squeeze(1)
            self.filled[scope][row] = len(places)
            if scope in self._caches:
                for layer, cache in zip(self.layers_of(scope), self._caches[scope], strict=True):
                    cache[row, : len(places)] = prompt.states[layer][places]
                    cache[row, len(places) :] = 0

    def window(self, scope: str, active: Tensor, widths: Sequence[int], width_of: Tensor) -> Window:
        """What the first n rows see, of which those that are not `active`, bool (n,), write into the last column."""
        places = torch.where(active, self.filled[scope][: len(active)], self.capacity)
        behind = torch.arange(max(widths), device=self.device) > places[:, None]
        mask = torch.zeros(behind.shape, dtype=self.dtype, device=self.device).masked_fill_(behind, -torch.inf)
        masks = {width: mask[:, None, None, :width] for width in widths}
        begins = torch.arange(len(active), device=self.device) * (self.capacity + 1)
        return Window(places + begins, masks, width_of[:, None, None, None])

    def layout(self, scope: str, window: Window) -> "SlotLayout":
        """The `Layout` of one step."""
        return SlotLayout(iter(self._caches.get(scope, [])), window)


@dataclass(frozen=True)
class SlotLayout:
    """A new token of each row sees its row up to itself: a `Layout` for one pass through all layers."""

    caches: Iterator[Tensor]  # of the layer whose turn it is
    window: Window

    def attend(self, states: Tensor, key_value_heads: int) -> Tensor:
        """See `Layout`; the cache takes up the keys and values."""
        cache, rows, heads = next(self.caches), len(states), states.shape[1] - 2 * key_value_heads
        cache.flatten(0, 1).index_copy_(0, self.window.places, states[:, heads:])
        # The query heads of one key head stand where a sequence of queries would: (n, K, G, E).
        queries = states[:, :heads].unflatten(1, (key_value_heads, -1))
        alone = queries.shape[2] == 1
        if alone:  # one query alone is multiplied by other kernels, whose sums depend on where its row lies
            queries = queries.expand(-1, -1, 2, -1)
        attended: Tensor | None = None
        for width, mask in self.window.masks.items():
            keys, values = cache[:rows, :width].transpose(1, 2).split(key_value_heads, dim=1)  # (n, K, W, E)
            found = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
            attended = found if attended is None else torch.where(self.window.width_of == width, found, attended)
        assert attended is not None
        return attended[:, :, :1].flatten(1) if alone else attended.flatten(1)
