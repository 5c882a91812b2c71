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
class View:
    """The first n rows of one layer's cache."""

    columns: Tensor  # (R (C + 1), 2 K, E), the whole cache
    seen: tuple[tuple[Tensor, Tensor], ...]  # keys and values of each width that is looked at, (n, K, W, E)


@dataclass(frozen=True)
class Window:
    """How much of the rows a step sees in one scope."""

    places: Tensor  # (n,), where each row writes, counted over all rows' columns
    masks: tuple[Tensor, ...]  # for each W, (n, 1, 1, W), 0 up to a row's own place and -inf behind it
    chosen: tuple[Tensor, ...]  # for each W after the first, bool (n, 1, 1, 1), the rows whose own it is


class Slots:
    """The caches of all layers, and how full each row is."""

    def __init__(self, model: UnixForCausalLM, rows: int) -> None:
        """No cache is allocated before a row is filled."""
        self.plans = model.config.plans
        self.rows, self.capacity = rows, 0
        self.device, self.dtype = model.device, model.dtype
        self.heads = (model.config.num_attention_heads, model.config.num_key_value_heads, model.config.head_dim)
        self._caches: dict[str, list[Tensor]] = {}  # by scope, (R, C + 1, 2 K, E) of each of its layers
        self._views: dict[tuple[str, int, tuple[int, ...]], list[View]] = {}
        self._filled = torch.zeros(len(SCOPES), rows, dtype=torch.long, device=self.device)
        self.filled = dict(zip(SCOPES, self._filled, strict=True))  # tokens of each row
        self._begins = self._columns = self._filled  # see `reserve`

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
            self._views = {}
        self._begins = torch.arange(self.rows, device=self.device) * (self.capacity + 1)
        self._columns = torch.arange(self.capacity, device=self.device)
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

    def windows(
        self, vision: bool, active: Tensor, widths: Sequence[int], width_of: Tensor
    ) -> tuple[Tensor, dict[str, Window]]:
        """What the first n rows see jointly and within one modality, and let those that are active go on.

        Args:
            active: bool (n,), the rows that have a new token; others write into the last column.
            widths: columns that are looked at. width_of: (n,), each row's own.

        Returns:
            the positions of the new tokens, (n,), C of rows that are not active; the windows by scope.
        """
        rows, scopes = len(active), SCOPES[:: 2 if vision else 1][:2]
        filled = self._filled[:: 2 if vision else 1][:2, :rows]
        places = torch.where(active, filled, self.capacity)  # (2, n)
        filled += active
        behind = self._columns[: max(widths)] > places[:, :, None]
        mask = torch.zeros(behind.shape, dtype=self.dtype, device=self.device).masked_fill_(behind, -torch.inf)
        written, mask = places + self._begins[:rows], mask[:, :, None, None]
        chosen = tuple((width_of == width)[:, None, None, None] for width in widths[1:])
        windows = {
            scope: Window(written[index], tuple(mask[index, ..., :width] for width in widths), chosen)
            for index, scope in enumerate(scopes)
        }
        return places[0], windows

    def layout(self, scope: str, widths: Sequence[int], window: Window) -> "SlotLayout":
        """The `Layout` of one step."""
        shape = scope, len(window.places), tuple(widths)
        if shape not in self._views:
            self._views[shape] = [self._view(cache, *shape[1:]) for cache in self._caches.get(scope, [])]
        return SlotLayout(iter(self._views[shape]), window)

    def _view(self, cache: Tensor, rows: int, widths: tuple[int, ...]) -> View:
        pairs = self.heads[1]
        seen = (cache[:rows, :width].transpose(1, 2).split(pairs, dim=1) for width in widths)
        return View(cache.flatten(0, 1), tuple((keys, values) for keys, values in seen))


@dataclass(frozen=True)
class SlotLayout:
    """A new token of each row sees its row up to itself: a `Layout` for one pass through all layers."""

    views: Iterator[View]  # of the layer whose turn it is
    window: Window

    def attend(self, states: Tensor, key_value_heads: int) -> Tensor:
        """See `Layout`; the cache takes up the keys and values."""
        view, window, pairs = next(self.views), self.window, 2 * key_value_heads
        heads, new = states.split((states.shape[1] - pairs, pairs), dim=1)
        view.columns.index_copy_(0, window.places, new)
        # The query heads of one key head stand where a sequence of queries would: (n, K, G, E).
        queries = heads.unflatten(1, (key_value_heads, -1))
        alone = queries.shape[2] == 1
        if alone:  # one query alone is multiplied by other kernels, whose sums depend on where its row lies
            queries = queries.expand(-1, -1, 2, -1)
        attended, *others = (
            functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
            for (keys, values), mask in zip(view.seen, window.masks, strict=True)
        )
        for chosen, found in zip(window.chosen, others, strict=True):
            attended = torch.where(chosen, found, attended)
        return attended[:, :, :1].flatten(1) if alone else attended.flatten(1)
