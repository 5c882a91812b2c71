"""Estimates the conditional n-gram entropy H_n = H(x_n | x_1 ... x_{n-1}) of token sequences, in bits.

Per order n there is the plug-in and the bias-corrected estimate. An n-gram never crosses a border between sequences,
and counting is exact (`unix_lib.analyze.ngrams`).
"""

from dataclasses import dataclass

import numpy as np

from unix_lib.analyze.estimators import corrected_entropy, plug_in_entropy, sample_coverage
from unix_lib.analyze.ngrams import NgramCounter, OrderSpectra
from unix_lib.analyze.spectra import Spectrum

JACKKNIFE_GROUPS = 20


def error_freedom(sequences: int) -> int:
    """Degrees of freedom of the standard errors of so many sequences."""
    return min(JACKKNIFE_GROUPS, sequences) - 1


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


def conditional_entropies(
    tokens: np.ndarray,
    lengths: np.ndarray,
    orders: int,
    *,
    with_errors: bool = False,
    threads: int = 1,
    memory: int = 2 << 30,
) -> list[ConditionalEntropy]:
    """Estimate H_1 .. H_orders.

    The prefix counts of order n are those of its own windows, so the plug-in value is exactly the conditional
    entropy of the empirical n-gram distribution and never negative. The corrected value is the difference of
    two corrected block entropies.

    Standard errors come from a jackknife that leaves out one of `JACKKNIFE_GROUPS` groups of whole sequences at
    a time (Efron and Stein 1981): tokens of a sequence depend on each other, sequences do not; a bootstrap would
    draw sequences twice and so push every entropy estimate down.

    Args:
        tokens: integers (T,), sequences one after the other, not negative; may be memory-mapped.
        lengths: int64 (S,), tokens per sequence, summing to T.
        orders: largest n.
        with_errors: also compute standard errors, where there are two sequences or more.
        memory: bytes to count in, besides the corpus.

    Raises:
        ValueError: the lengths do not sum to the number of tokens.
    """
    groups = min(JACKKNIFE_GROUPS, len(lengths)) if with_errors and len(lengths) > 1 else 0
    counted = NgramCounter(tokens, lengths, orders, groups).count(threads=threads, memory=memory)
    return [_estimate(n, spectra, groups) for n, spectra in enumerate(counted, 1)]


def _estimate(n: int, spectra: OrderSpectra, groups: int) -> ConditionalEntropy:
    ngrams = spectra.ngrams.whole()
    plug_in, corrected = _difference_of_blocks(ngrams, spectra.prefixes.whole())
    without = [
        _difference_of_blocks(spectra.ngrams.without(group), spectra.prefixes.without(group)) for group in range(groups)
    ]
    errors = _jackknife_errors(np.array(without)) if groups else (float("nan"), float("nan"))
    return ConditionalEntropy(n, ngrams.total, plug_in, corrected, sample_coverage(ngrams), *errors)


def _difference_of_blocks(ngrams: Spectrum, prefixes: Spectrum) -> tuple[float, float]:
    """H(n-gram) - H(prefix), plug-in and corrected; the empty prefix of n = 1 has entropy 0."""
    if not ngrams.total:
        return float("nan"), float("nan")
    return (
        plug_in_entropy(ngrams) - plug_in_entropy(prefixes),
        corrected_entropy(ngrams) - corrected_entropy(prefixes),
    )


def _jackknife_errors(without: np.ndarray) -> tuple[float, float]:
    """Standard errors from float64 (groups, 2), the estimates without each group."""
    groups = len(without)
    variance = (groups - 1) / groups * ((without - without.mean(axis=0)) ** 2).sum(axis=0)
    return float(np.sqrt(variance[0])), float(np.sqrt(variance[1]))
