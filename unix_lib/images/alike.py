"""Finds 64-bit hashes that differ in few bits among millions, without comparing each with each.

Where two hashes differ in at most eight bits, they differ in at most two within one of three bands of about 21 bits. So
each is looked up by its bands and by these with up to two bits flipped, and only what is found there is compared. Ten
million hashes take about 300 MB.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

MOST_BITS_APART = 8  # beyond, pictures that have nothing to do with each other look alike among millions
WIDTHS = (22, 21, 21)  # of the bands, bits
# A bit of each band in turn: neighbouring frequencies of a picture go together, and buckets would be uneven.
BAND_OF_BIT = [bit % 3 for bit in range(64)]
QUERIES, COMPARED = 1 << 16, 1 << 22  # at once


class HashIndex:
    """Looks up hashes.

    Args:
        hashes: uint64 (N,).
    """

    def __init__(self, hashes: np.ndarray) -> None:
        self.hashes = hashes
        self._bands = []
        for band, width in enumerate(WIDTHS):
            keys = _keys(hashes, band)
            order = np.argsort(keys, kind="stable").astype(np.int32)
            starts = np.zeros((1 << width) + 1, np.int32)
            np.cumsum(np.bincount(keys, minlength=1 << width), out=starts[1:])
            self._bands.append((order, starts))

    def near(self, queries: np.ndarray, distance: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Places among the queries, uint64 (Q,), and among the hashes of pairs that differ in at most so many bits.

        In no order; a pair may come several times.
        """
        for first in range(0, len(queries), QUERIES):
            block = queries[first : first + QUERIES]
            for band, (order, starts) in enumerate(self._bands):
                keys = _keys(block, band)
                for flipped in _flips(WIDTHS[band], distance // len(WIDTHS)):
                    low, high = starts[keys ^ flipped], starts[(keys ^ flipped) + 1]
                    for query, place in _ranges(low, high):
                        found = order[place]
                        near = np.bitwise_count(block[query] ^ self.hashes[found]) <= distance
                        yield first + query[near], found[near]


def first_alike(hashes: np.ndarray, distance: int) -> np.ndarray:
    """Which hash, of those that stay, each is like: of what is alike the first stays.

    Args:
        hashes: uint64 (N,).
        distance: bits, at most `MOST_BITS_APART`.

    Returns:
        int64 (N,), the place of an earlier hash that stays and differs in at most so many bits; -1 of those that stay.
    """
    different, first, number = np.unique(hashes, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    in_order = different[order]  # each once, as they first come
    pairs = [
        np.stack([later[earlier < later], earlier[earlier < later]])
        for later, earlier in HashIndex(in_order).near(in_order, distance)
    ]
    stays = np.full(len(in_order), -1, np.int64)
    both = np.concatenate([np.empty((2, 0), np.int64), *pairs], axis=1)
    for later, earlier in both[:, np.lexsort(both[::-1])].T.tolist():
        if stays[later] < 0 and stays[earlier] < 0:
            stays[later] = earlier
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    own = place[number]
    like = np.where(stays[own] < 0, own, stays[own])  # among `in_order`
    found = first[order[like]]
    return np.where(found == np.arange(len(hashes)), -1, found)


def any_alike(hashes: np.ndarray, others: np.ndarray, distance: int) -> np.ndarray:
    """int64 (N,): the first of `others` that each hash differs from in at most so many bits; -1 without one."""
    found = np.full(len(hashes), len(others), np.int64)
    for query, place in HashIndex(others).near(hashes, distance):
        np.minimum.at(found, query, place)
    return np.where(found == len(others), -1, found)


def _keys(hashes: np.ndarray, band: int) -> np.ndarray:
    """The bits of a band, int64 (N,)."""
    keys = np.zeros(len(hashes), np.int64)
    for place, bit in enumerate(bit for bit, of in enumerate(BAND_OF_BIT) if of == band):
        keys |= ((hashes >> np.uint64(bit)) & np.uint64(1)).astype(np.int64) << place
    return keys


def _flips(width: int, most: int) -> Iterator[int]:
    """Numbers of that many bits of which at most `most` are set."""
    for count in range(most + 1):
        for bits in combinations(range(width), count):
            yield sum(1 << bit for bit in bits)


def _ranges(low: np.ndarray, high: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(row, number) of all numbers in low[row]..high[row], some at a time."""
    filled = np.flatnonzero(high > low)
    counts = (high[filled] - low[filled]).astype(np.int64)
    ends = np.cumsum(counts)
    first = 0
    while first < len(filled):
        done = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, done + COMPARED)))
        some, starts = counts[first:last], ends[first:last] - counts[first:last] - done
        within = np.arange(some.sum()) - np.repeat(starts, some)
        yield np.repeat(filled[first:last], some), within + np.repeat(low[filled[first:last]], some)
        first = last
