"""Estimates the conditional n-gram entropy H_n = H(x_n | x_1 ... x_{n-1}) of token sequences, in bits.

Per order n there is the plug-in and the bias-corrected estimate. An n-gram never crosses a border between sequences.
Counting is exact: the n tokens of a window are packed into one 64-bit key, and one sort gives the counts of the n-grams
and, since a key begins with its prefix, those of the prefixes. Where n tokens do not fit into 64 bits, the prefix is
first replaced by its rank among the prefixes that occur. Cost: one sort of N keys per order, about 3 arrays of N x 8
bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from unix_lib.analyze.estimators import corrected_entropy, plug_in_entropy, sample_coverage

KEY_BITS = 64
JACKKNIFE_GROUPS = 20


@dataclass(frozen=True)
class ConditionalEntropy:
    """Estimates for one order. Bits; standard errors are NaN where they were not asked for."""

    n: int
    windows: int  # n-grams counted
    plug_in: float
    corrected: float
    coverage: float  # Good-Turing share of the n-gram distribution that was seen
    plug_in_standard_error: float = float("nan")
    corrected_standard_error: float = float("nan")


@dataclass(frozen=True)
class NgramTable:
    """Counts of all n-grams of one order.

    Attributes:
        windows: uint64 (W,), the key of each window, in text order.
        starts: int64 (W,), position of each window's first token.
        keys: uint64 (K,), distinct keys, rising; n-grams with the same prefix stand together.
        counts: int64 (K,), windows with each key.
        prefix_starts: int64 (P,), where in `keys` each distinct prefix begins.
    """

    n: int
    windows: np.ndarray
    starts: np.ndarray
    keys: np.ndarray
    counts: np.ndarray
    prefix_starts: np.ndarray


def ngram_tables(tokens: np.ndarray, lengths: np.ndarray, orders: int) -> Iterator[NgramTable]:
    """Count the n-grams of orders 1..orders.

    Args:
        tokens: integers (T,), sequences one after the other, not negative.
        lengths: int64 (S,), tokens per sequence, summing to T.
        orders: largest n.

    Raises:
        ValueError: the lengths do not sum to the number of tokens.
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    if int(lengths.sum()) != len(tokens):
        raise ValueError(f"sequence lengths sum to {int(lengths.sum())}, but there are {len(tokens)} tokens")
    tokens = tokens.astype(np.uint64)
    remaining = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(tokens))  # from each token to its border
    token_bits = max(1, int(tokens.max()).bit_length()) if len(tokens) else 1
    prefix = np.zeros(len(tokens), dtype=np.uint64)  # injective code of the n-1 tokens before, per window start
    prefix_bits = 0
    for n in range(1, orders + 1):
        starts = np.flatnonzero(remaining >= n)
        if prefix_bits + token_bits > KEY_BITS:
            distinct, ranks = np.unique(prefix[starts], return_inverse=True)
            prefix[starts] = ranks
            prefix_bits = max(1, (len(distinct) - 1).bit_length())
        windows = (prefix[starts] << np.uint64(token_bits)) | tokens[starts + (n - 1)]
        keys, counts = np.unique(windows, return_counts=True)
        _, prefix_starts = np.unique(keys >> np.uint64(token_bits), return_index=True)
        yield NgramTable(n, windows, starts, keys, counts, prefix_starts)
        prefix[starts] = windows
        prefix_bits += token_bits


def conditional_entropies(
    tokens: np.ndarray, lengths: np.ndarray, orders: int, *, with_errors: bool = False
) -> list[ConditionalEntropy]:
    """Estimate H_1 .. H_orders.

    The prefix counts of order n are those of its own windows, so the plug-in value is exactly the conditional
    entropy of the empirical n-gram distribution and never negative. The corrected value is the difference of
    two corrected block entropies.

    Standard errors come from a jackknife that leaves out one of `JACKKNIFE_GROUPS` groups of whole sequences at
    a time (Efron and Stein 1981): tokens of a sequence depend on each other, sequences do not; a bootstrap would
    draw sequences twice and so push every entropy estimate down.

    Args:
        tokens, lengths, orders: as in `ngram_tables`.
        with_errors: also compute standard errors; costs another sort per order.
    """
    results = []
    for table in ngram_tables(tokens, lengths, orders):
        plug_in, corrected = _difference_of_blocks(table.counts, table.prefix_starts)
        errors = _jackknife_errors(table, np.asarray(lengths)) if with_errors else (float("nan"), float("nan"))
        results.append(
            ConditionalEntropy(
                table.n, len(table.windows), plug_in, corrected, sample_coverage(table.counts), errors[0], errors[1]
            )
        )
    return results


def take_budget(sequences: list[np.ndarray], budget: int) -> tuple[np.ndarray, np.ndarray]:
    """Exactly `budget` tokens from the front of a list of sequences; the last one taken is cut.

    Returns:
        tokens (budget,), and int64 lengths of the sequences taken.
    """
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    ends = np.cumsum(lengths)
    count = int(np.searchsorted(ends, budget)) + 1
    tokens = np.concatenate(sequences[:count])[:budget]
    lengths = lengths[:count].copy()
    lengths[-1] -= int(ends[count - 1]) - budget
    return tokens, lengths


def _difference_of_blocks(counts: np.ndarray, prefix_starts: np.ndarray) -> tuple[float, float]:
    """H(n-gram) - H(prefix), plug-in and corrected; the empty prefix of n = 1 has entropy 0."""
    if not len(counts):
        return float("nan"), float("nan")
    prefix_counts = np.add.reduceat(counts, prefix_starts)
    return (
        plug_in_entropy(counts) - plug_in_entropy(prefix_counts),
        corrected_entropy(counts) - corrected_entropy(prefix_counts),
    )


def _jackknife_errors(table: NgramTable, lengths: np.ndarray) -> tuple[float, float]:
    groups = min(JACKKNIFE_GROUPS, len(lengths))
    if groups < 2:
        return float("nan"), float("nan")
    group_of_token = np.repeat(np.arange(len(lengths)) % groups, lengths)
    group_of_window = group_of_token[table.starts]
    estimates = []
    for group in range(groups):
        keys, counts = np.unique(table.windows[group_of_window == group], return_counts=True)
        left = table.counts.copy()
        left[np.searchsorted(table.keys, keys)] -= counts
        estimates.append(_difference_of_blocks(left, table.prefix_starts))
    spread = np.array(estimates)
    variance = (groups - 1) / groups * ((spread - spread.mean(axis=0)) ** 2).sum(axis=0)
    return float(np.sqrt(variance[0])), float(np.sqrt(variance[1]))
