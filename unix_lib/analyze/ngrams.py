"""Counts all n-grams of a corpus of any size, exactly, in bounded memory.

Windows (places where n-grams begin) are dealt into buckets by their first two tokens, so that equal n-grams of every
order meet in one bucket; a bucket is counted by sorting 64-bit keys, which fit into the processor's caches better than
a whole corpus's would. Where the tokens of a window don't fit into 64 bits, the first of them are replaced by their
rank among those of the bucket. As many buckets are collected at a time as the given memory holds, by reading through
the corpus again for the next ones: no temporary files. Only the bucket of the most frequent pair of tokens is not cut.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from unix_lib.analyze.spectra import Spectra

KEY_BITS = 64
CHUNK = 1 << 22  # tokens looked at at a time
BUCKET = 1 << 21  # windows, on average
WINDOW_BYTES = 80  # of memory that a collected window takes while it is sorted into its bucket
_MIX = (np.uint32(0x9E3779B1), np.uint32(0x85EBCA77))  # odd, bits well spread


@dataclass(frozen=True)
class OrderSpectra:
    """Spectra of one order n: of the n-grams, and of the first n - 1 tokens of the same windows."""

    ngrams: Spectra
    prefixes: Spectra


@dataclass(frozen=True)
class _Windows:
    """Windows by their tokens.

    Attributes:
        tokens: uint32 (orders, W); beyond a sequence's border anything.
        room: uint8 (W,), tokens from the window's start to its sequence's border, `orders + 1` where there are more.
        groups: uint8 (W,), the group of the window's sequence.
    """

    tokens: np.ndarray
    room: np.ndarray
    groups: np.ndarray

    def take(self, chosen: np.ndarray | slice) -> "_Windows":
        return _Windows(self.tokens[:, chosen], self.room[chosen], self.groups[chosen])


class NgramCounter:
    """The n-grams of sequences of tokens; none crosses a border between sequences."""

    def __init__(self, tokens: np.ndarray, lengths: np.ndarray, orders: int, groups: int) -> None:
        """Look at a corpus.

        Args:
            tokens: integers (T,), not negative, sequences one after the other; may be memory-mapped. A table of their
                largest stands in memory.
            lengths: int64 (S,), tokens per sequence, summing to T.
            orders: largest n.
            groups: groups of sequences whose spectra are counted too, at most 32; sequence s belongs to s % groups.

        Raises:
            ValueError: the lengths do not sum to the number of tokens.
        """
        self.ends = np.cumsum(np.asarray(lengths, dtype=np.int64))
        said = int(self.ends[-1]) if len(self.ends) else 0
        if said != len(tokens):
            raise ValueError(f"sequence lengths sum to {said}, but there are {len(tokens)} tokens")
        self.tokens, self.orders, self.groups = tokens, orders, groups
        self.vocabulary = 1 + max((int(chunk.max()) for _, chunk in self._chunks()), default=0)
        self.token_bits = max(1, (self.vocabulary - 1).bit_length())

    def count(self, *, threads: int = 1, memory: int = 2 << 30) -> list[OrderSpectra]:
        """Spectra of orders 1..orders; `memory` in bytes, besides that of the corpus."""
        spectra = [OrderSpectra(Spectra(self.groups), Spectra(self.groups)) for _ in range(self.orders)]
        following = self._count_tokens(spectra[0])
        if self.orders == 1:
            return spectra
        self._add_tokens(spectra[1].prefixes, following)
        buckets = 2 << (len(self.tokens) // BUCKET).bit_length()
        at_once = min(256, max(1, memory * buckets // (WINDOW_BYTES * max(1, len(self.tokens)))))
        with ThreadPoolExecutor(threads) as pool:
            for first in range(0, buckets, at_once):
                slab, sizes = self._collect(first, min(first + at_once, buckets), buckets)
                ends = np.cumsum(sizes)
                parts = (slab.take(slice(end - size, end)) for end, size in zip(ends, sizes, strict=True) if size)
                for counted in pool.map(self._count_bucket, parts):
                    for order, part in zip(spectra[1:], counted, strict=True):
                        order.ngrams.merge(part.ngrams)
                    for order, part in zip(spectra[2:], counted, strict=False):
                        order.prefixes.merge(part.prefixes)
        return spectra

    def _chunks(self) -> Iterator[tuple[int, np.ndarray]]:
        """The corpus in pieces: where each begins, and its tokens with those that its last windows need."""
        for begin in range(0, len(self.tokens), CHUNK):
            yield begin, np.asarray(self.tokens[begin : begin + CHUNK + self.orders - 1])

    def _borders(self, begin: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Of each token of a piece the tokens from it to its sequence's border, and its sequence's group."""
        first, last = np.searchsorted(self.ends, (begin, begin + count - 1), side="right")
        ends = self.ends[first : last + 1]
        inside = np.diff(np.minimum(ends, begin + count), prepend=begin)
        room = np.repeat(ends, inside) - np.arange(begin, begin + count)
        groups = np.repeat(np.arange(first, last + 1) % max(1, self.groups), inside)
        return np.minimum(room, self.orders + 1).astype(np.uint8), groups.astype(np.uint8)

    def _count_tokens(self, spectra: OrderSpectra) -> np.ndarray:
        """Order 1, by index; returns int64 (groups, V), tokens of each group that another follows."""
        shape = (max(1, self.groups), self.vocabulary)
        counts, following = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for begin, chunk in self._chunks():
            count = min(CHUNK, len(self.tokens) - begin)
            room, groups = self._borders(begin, count)
            places = groups.astype(np.int64) * self.vocabulary + chunk[:count]
            counts += np.bincount(places, minlength=counts.size).reshape(shape)
            following += np.bincount(places[room > 1], minlength=counts.size).reshape(shape)
        self._add_tokens(spectra.ngrams, counts)
        self._add_tokens(spectra.prefixes, counts.sum(axis=1, keepdims=True))  # all begin with nothing
        return following

    def _add_tokens(self, spectra: Spectra, counts: np.ndarray) -> None:
        totals = counts.sum(axis=0)
        spectra.add(totals)
        if self.groups:
            groups, tokens = np.nonzero(counts)
            spectra.leave_out(groups, totals[tokens], counts[groups, tokens])

    def _collect(self, first: int, end: int, buckets: int) -> tuple[_Windows, np.ndarray]:
        """Windows of at least two tokens of some of the buckets, bucket by bucket, and how many each has."""
        width = (1 << 32) // buckets  # of a bucket's share of all hashes
        found: list[_Windows] = []
        places: list[np.ndarray] = []
        for begin, chunk in self._chunks():
            count = min(CHUNK, len(self.tokens) - begin)
            room, groups = self._borders(begin, count)
            mixed = chunk.astype(np.uint32)
            hashes = mixed[:count] * _MIX[0]
            hashes[: len(chunk) - 1] ^= mixed[1 : count + 1] * _MIX[1]
            hashes -= np.uint32(first * width)
            chosen = np.flatnonzero((hashes <= np.uint32((end - first) * width - 1)) & (room > 1))
            after = np.minimum(chosen + np.arange(self.orders)[:, None], len(chunk) - 1)
            found.append(_Windows(chunk[after].astype(np.uint32), room[chosen], groups[chosen]))
            places.append((hashes[chosen] // np.uint32(width)).astype(np.uint8))
        place = np.concatenate(places)
        windows = _Windows(
            np.concatenate([part.tokens for part in found], axis=1),
            np.concatenate([part.room for part in found]),
            np.concatenate([part.groups for part in found]),
        )
        return windows.take(np.argsort(place, kind="stable")), np.bincount(place, minlength=end - first)

    def _count_bucket(self, windows: _Windows) -> list[OrderSpectra]:
        """Of orders 2 and up the n-grams of a bucket, and the prefixes that they are for the next order."""
        group_bits = max(0, self.groups - 1).bit_length()
        extra = np.uint64(group_bits + 1)
        code, bits = windows.tokens[0].astype(np.uint64), self.token_bits
        results = []
        for n in range(2, self.orders + 1):
            kept = windows.room >= n
            if not kept.all():
                windows, code = windows.take(kept), code[kept]
            if bits + self.token_bits + int(extra) > KEY_BITS:
                code, bits = _ranks(code)
            code = (code << np.uint64(self.token_bits)) | windows.tokens[n - 1]
            bits += self.token_bits
            groups = code << np.uint64(group_bits) | windows.groups
            results.append(self._count_keys(groups << np.uint64(1) | (windows.room > n), group_bits))
        return results

    def _count_keys(self, keys: np.ndarray, group_bits: int) -> OrderSpectra:
        """Count keys made of an n-gram, its sequence's group, and whether a token follows it."""
        keys, counts = np.unique(keys, return_counts=True)
        pairs = keys >> np.uint64(1)
        grams = pairs >> np.uint64(group_bits)
        followed = np.where(keys & np.uint64(1), counts, 0)
        new_gram, new_pair = _starts(grams), _starts(pairs)
        symbols = np.repeat(np.arange(len(new_gram)), np.diff(new_gram, append=len(grams)))[new_pair]
        groups = (pairs[new_pair] & np.uint64((1 << group_bits) - 1)).astype(np.int64)
        result = OrderSpectra(Spectra(self.groups), Spectra(self.groups))
        for spectra, weights in ((result.ngrams, counts), (result.prefixes, followed)):
            if len(weights):
                totals = np.add.reduceat(weights, new_gram)
                spectra.add(totals)
                if self.groups:
                    spectra.leave_out(groups, totals[symbols], np.add.reduceat(weights, new_pair))
        return result


def _ranks(codes: np.ndarray) -> tuple[np.ndarray, int]:
    """Each code's rank among the distinct ones, uint64 (W,), and the bits that ranks take."""
    order = np.argsort(codes)
    ordered = codes[order]
    ranks = np.empty(len(codes), dtype=np.uint64)
    ranks[order] = np.cumsum(np.diff(ordered, prepend=ordered[:1]) != 0)
    return ranks, max(1, int(ranks.max(initial=0)).bit_length())


def _starts(rising: np.ndarray) -> np.ndarray:
    """Where each distinct value begins."""
    return np.flatnonzero(np.append(True, rising[1:] != rising[:-1]))[: len(rising)]
