"""Which document goes into which pack: best-fit-decreasing, looking at lengths only.

Longest first, each into the fullest pack that still has room (arXiv 2404.10830, section 3). Documents of one length
are placed together, and so are packs with the same free space: while packs with the least sufficient space `f` take
documents of length `l`, each takes `f // l` of them in a row, because after the first it is fuller than any other
that has room. One step of the loop therefore places a whole group with a few array operations, and the number of
steps depends on how many different lengths and free spaces meet, not on the number of documents.
"""

from bisect import bisect_left, insort
from dataclasses import dataclass

import numpy as np

from unix_lib.artefacts.errors import UserError


class PackError(UserError):
    """A document that fits no pack, or packs that can't be made or read."""


@dataclass(frozen=True)
class PackPlan:
    """Where each document goes."""

    pack_of: np.ndarray  # int64 (N,)
    offset_of: np.ndarray  # int64 (N,), first token within the pack
    num_packs: int


def best_fit_decreasing(lengths: np.ndarray, capacity: int) -> PackPlan:
    """Assign documents to packs of `capacity` tokens, leaving no document cut.

    At most O(N log capacity); documents of equal length keep their order.

    Args:
        lengths: int64 (N,), tokens per document, each in 1..capacity.
        capacity: tokens per pack.

    Raises:
        PackError: a document is empty or longer than `capacity`; names the first such index.
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    wrong = np.flatnonzero((lengths < 1) | (lengths > capacity))
    if len(wrong):
        raise PackError(
            f"document {wrong[0]} has {lengths[wrong[0]]} tokens, a pack takes 1 to {capacity}; raise pack.length or "
            "filter the source"
        )
    order = np.argsort(-lengths, kind="stable")
    pack_of = np.empty(len(lengths), dtype=np.int64)
    offset_of = np.empty(len(lengths), dtype=np.int64)
    free = _FreeSpace(capacity)
    start = 0
    for length, stop in _runs(lengths[order]):
        while start < stop:
            space, packs, each = free.take(length, stop - start)
            end = min(start + len(packs) * each, stop)
            if each == 1:
                pack_of[order[start:end]] = packs
                offset_of[order[start:end]] = capacity - space
            else:
                places = np.arange(end - start)
                pack_of[order[start:end]] = packs[places // each]
                offset_of[order[start:end]] = capacity - space + places % each * length
            last = (end - start) - (len(packs) - 1) * each  # documents in the last of these packs
            free.put(space - each * length, packs if last == each else packs[:-1])
            if last < each:
                free.put(space - last * length, packs[-1:])
            start = end
    return PackPlan(pack_of, offset_of, free.num_packs)


def _runs(values: np.ndarray) -> list[tuple[int, int]]:
    """(value, end of its run) of an array in which equal values stand together."""
    if not len(values):
        return []
    ends = np.append(np.flatnonzero(np.diff(values)) + 1, len(values))
    return list(zip(values[ends - 1].tolist(), ends.tolist(), strict=True))


class _FreeSpace:
    """Packs by free space; an empty pack is always at hand."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.num_packs = 0
        self._spaces: list[int] = []  # ascending, those that some pack has
        self._packs: dict[int, list[np.ndarray]] = {}  # space -> packs, int64 arrays

    def take(self, length: int, documents: int) -> tuple[int, np.ndarray, int]:
        """Packs with the least space that holds `length`, no more than `documents` need.

        Returns:
            space: their free space.
            packs: int64, at least one; they must be given back with `put`.
            each: documents that each takes, `space // length`.
        """
        at = bisect_left(self._spaces, length)
        if at == len(self._spaces):
            each = self.capacity // length
            opened = -(-documents // each)
            self.num_packs += opened
            return self.capacity, np.arange(self.num_packs - opened, self.num_packs), each
        space = self._spaces[at]
        each = space // length
        needed = -(-documents // each)
        arrays = self._packs[space]
        packs = arrays.pop()
        if len(packs) > needed:
            arrays.append(packs[needed:])
            packs = packs[:needed]
        elif not arrays:
            del self._packs[space], self._spaces[at]
        return space, packs, each

    def put(self, space: int, packs: np.ndarray) -> None:
        """Give packs back with the space they have left; full ones are done."""
        if space and len(packs):
            if space not in self._packs:
                self._packs[space] = []
                insort(self._spaces, space)
            self._packs[space].append(packs)
