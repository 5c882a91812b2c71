"""Where tokens stand in the preallocated caches of decoding, and what each new one may see.

Every attention scope has columns of its own (`joint`, and one modality each for separated layers), the same for all
layers of that scope. Prompts are right-aligned, so that a step writes one column for all sequences; a mask hides what
lies before a shorter prompt.

Legend: R sequences, K key and value heads, E head width, C columns.
"""

import torch
from torch import Tensor


def _mask(hidden: Tensor, dtype: torch.dtype) -> Tensor:
    """Hidden columns (R, C) as what is added to scores, 0 or -inf, (R, 1, 1, C)."""
    return torch.zeros(hidden.shape, dtype=dtype, device=hidden.device).masked_fill_(hidden, -torch.inf)[:, None, None]


class Columns:
    """The columns of one scope, counted in Python: a step sees exactly what is filled."""

    def __init__(self, counts: Tensor, room: int, dtype: torch.dtype) -> None:
        """Lay out columns for the prompts' tokens in this scope, `counts`, int64 (R,), and `room` for new ones."""
        self.prompts = int(counts.max())
        self.capacity = self.prompts + room
        self.used = self.prompts
        self.padding = self.prompts - counts  # (R,), columns before each prompt
        self.mask: Tensor | None = None
        if bool((self.padding > 0).any()):
            self.mask = _mask(torch.arange(self.capacity, device=counts.device) < self.padding[:, None], dtype)

    @property
    def state(self) -> list[Tensor]:
        """What a step changes here, on the device."""
        return []

    def begin(self) -> None:
        """A step begins: its own column may be seen."""

    def put(self, cache: Tensor, states: Tensor) -> tuple[Tensor, Tensor | None]:
        """Write the new tokens' keys and values, (R, 2 K, E), into a cache (R, 2 K, C, E).

        Returns:
            the part of the cache that the new tokens see, and its mask.
        """
        cache[:, :, self.used] = states
        seen = slice(0, self.used + 1)
        return cache[:, :, seen], None if self.mask is None else self.mask[..., seen]

    def advance(self) -> None:
        """One more column is filled."""
        self.used += 1


class GraphColumns(Columns):
    """The same with the place of the next token on the device, so that a recorded step can be replayed.

    Shapes never change: a step sees all columns, and the mask hides those that are not filled yet. The price is
    attention over the whole capacity in every step.
    """

    def __init__(self, counts: Tensor, room: int, dtype: torch.dtype) -> None:
        super().__init__(counts, room, dtype)
        place = torch.arange(self.capacity, device=counts.device)
        self.mask: Tensor = _mask((place < self.padding[:, None]) | (place >= self.prompts), dtype)
        self.next = torch.full((1,), self.used, device=counts.device)

    @property
    def state(self) -> list[Tensor]:
        return [self.next, self.mask]

    def begin(self) -> None:
        self.mask.index_fill_(3, self.next, 0)

    def put(self, cache: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        cache.index_copy_(2, self.next, states[:, :, None])
        return cache, self.mask

    def advance(self) -> None:
        self.next += 1
