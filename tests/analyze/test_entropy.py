"""Counting against dictionaries, estimates against sources whose entropy is known, borders and budgets."""

import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from unix_lib.analyze import ngrams
from unix_lib.analyze.entropy import conditional_entropies
from unix_lib.analyze.estimators import corrected_entropy, plug_in_entropy, sample_coverage
from unix_lib.analyze.ngrams import NgramCounter
from unix_lib.analyze.spectra import Spectrum, spectrum_of
from unix_lib.analyze.token_sequences import SourceSequences


def split(tokens: np.ndarray, lengths: list[int]) -> list[list[int]]:
    ends = np.cumsum(lengths)
    return [tokens[end - length : end].tolist() for end, length in zip(ends, lengths, strict=True)]


def brute_force_conditional(sequences: list[list[int]], n: int) -> float:
    """H(x_n | prefix) from dictionaries, as the mean surprise of the last token given its prefix."""
    grams = Counter(tuple(s[i : i + n]) for s in sequences for i in range(len(s) - n + 1))
    prefixes: Counter[tuple[int, ...]] = Counter()
    for gram, count in grams.items():
        prefixes[gram[:-1]] += count
    total = sum(grams.values())
    return -sum(c / total * math.log2(Fraction(c, prefixes[gram[:-1]])) for gram, c in grams.items())


@pytest.mark.parametrize("vocabulary", [2, 7, 8192, 160_000])
def test_plug_in_equals_brute_force(vocabulary: int) -> None:
    rng = np.random.default_rng(vocabulary)
    lengths = [1, 3, 0, 40, 2, 5, 300, 60]
    tokens = rng.integers(0, vocabulary, sum(lengths)) // rng.integers(1, 4, sum(lengths))
    tokens[50:90] = tokens[100:140]  # repeats, so that long n-grams are seen twice
    tokens[5] = vocabulary - 1
    sequences = split(tokens, lengths)
    for estimate in conditional_entropies(tokens, np.array(lengths), 5):
        assert estimate.plug_in == pytest.approx(brute_force_conditional(sequences, estimate.n), abs=1e-12)
        assert estimate.windows == sum(max(0, length - estimate.n + 1) for length in lengths)


def counted(spectrum: Spectrum) -> dict[int, int]:
    return dict(zip(spectrum.values.astype(int).tolist(), spectrum.frequencies.astype(int).tolist(), strict=True))


@pytest.mark.parametrize("largest", [3, 262_143, 2**21])
def test_spectra_equal_dictionaries(largest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one piece, and in pieces, buckets and passes of a few tokens; without each group, too.

    Four tokens of 18 bits and three of 22 don't fit into a key, so they are ranked.
    """
    rng = np.random.default_rng(0)
    tokens = rng.choice([0, 1, 2, largest // 2, largest], size=9000, p=[0.8, 0.05, 0.05, 0.05, 0.05])
    tokens, lengths = tokens.astype(np.uint32), [0, 1, 4999, 2, 0, 998, 2000, 1000]
    sequences = split(tokens, lengths)
    for sizes in ({}, {"CHUNK": 777, "BUCKET": 200}):
        for name, value in sizes.items():
            monkeypatch.setattr(ngrams, name, value)
        spectra = NgramCounter(tokens, np.array(lengths), 5, 3).count(threads=2, memory=200 * ngrams.WINDOW_BYTES * 7)
        for n, of_order in enumerate(spectra, 1):
            for group in (None, 0, 1, 2):
                chosen = [s for place, s in enumerate(sequences) if group is None or place % 3 != group]
                grams = Counter(tuple(s[i : i + n]) for s in chosen for i in range(len(s) - n + 1))
                prefixes: Counter[tuple[int, ...]] = Counter()
                for gram, count in grams.items():
                    prefixes[gram[:-1]] += count
                for spectra_of, expected in ((of_order.ngrams, grams), (of_order.prefixes, prefixes)):
                    spectrum = spectra_of.whole() if group is None else spectra_of.without(group)
                    assert counted(spectrum) == Counter(expected.values())
                    assert spectrum.total == sum(expected.values())


def test_no_ngram_crosses_a_border() -> None:
    """Two constant sequences: across the border the next token would be a surprise."""
    tokens = np.array([0] * 50 + [1] * 50)
    (_, inside) = conditional_entropies(tokens, np.array([50, 50]), 2)
    (_, across) = conditional_entropies(tokens, np.array([100]), 2)
    assert inside.plug_in == 0.0
    assert across.plug_in > 0.0


def test_independent_source() -> None:
    """Of i.i.d. symbols the past says nothing: every H_n is the entropy of one symbol."""
    probabilities = np.array([0.5, 0.25, 0.125, 0.125])
    tokens = np.random.default_rng(1).choice(4, size=400_000, p=probabilities)
    for estimate in conditional_entropies(tokens, np.full(4000, 100), 5):
        assert estimate.plug_in == pytest.approx(1.75, abs=0.01)
        assert estimate.corrected == pytest.approx(1.75, abs=0.01)


def test_markov_chain() -> None:
    """H_1 is the stationary entropy, H_n for n >= 2 the entropy rate."""
    transition = np.array([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
    eigenvalues, vectors = np.linalg.eig(transition.T)
    stationary = np.real(vectors[:, np.argmax(eigenvalues.real)])
    stationary /= stationary.sum()
    rate = -(stationary[:, None] * transition * np.log2(transition)).sum()
    rng = np.random.default_rng(2)
    chains = 20_000
    state = rng.choice(3, size=chains, p=stationary)
    columns = [state]
    for _ in range(19):
        state = (rng.random(chains)[:, None] > np.cumsum(transition, axis=1)[state]).sum(axis=1)
        columns.append(state)
    tokens = np.stack(columns, axis=1).reshape(-1)
    estimates = conditional_entropies(tokens, np.full(chains, 20), 4, with_errors=True)
    expected = [-(stationary * np.log2(stationary)).sum(), rate, rate, rate]
    for estimate, value in zip(estimates, expected, strict=True):
        assert estimate.corrected == pytest.approx(value, abs=max(0.004, 4 * estimate.corrected_standard_error))


def test_correction_beats_plug_in_when_undersampled() -> None:
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet(np.full(1000, 0.3))
    truth = -(probabilities * np.log2(probabilities, where=probabilities > 0, out=np.zeros(1000))).sum()
    counts = rng.multinomial(500, probabilities, size=50)
    plug_in = np.mean([plug_in_entropy(spectrum_of(row)) for row in counts])
    corrected = np.mean([corrected_entropy(spectrum_of(row)) for row in counts])
    assert plug_in < truth - 0.5
    assert abs(corrected - truth) < 0.2


@pytest.mark.parametrize("counts", [[1] * 30, [1, 1, 1, 2, 2, 5, 9], [4, 4], [1], [3, 1], [1, 1]])
def test_corrected_estimate_equals_the_published_formula(counts: list[int]) -> None:
    """Chao, Wang and Jost 2013, equation 7, in exact fractions up to the logarithm."""
    total, once, twice = sum(counts), counts.count(1), counts.count(2)
    seen = sum(Fraction(c, total) * sum(Fraction(1, k) for k in range(c, total)) for c in counts)
    tail = 0.0
    if once:
        if twice:
            unseen = Fraction(2 * twice, (total - 1) * once + 2 * twice)
        else:
            unseen = Fraction(2, (total - 1) * (once - 1) + 2)
        if unseen < 1:
            partial = sum(Fraction(1, r) * (1 - unseen) ** r for r in range(1, total))
            tail = once / total * float((1 - unseen) ** (1 - total)) * (-math.log(unseen) - float(partial))
    expected = (float(seen) + tail) / math.log(2) if total > 1 else 0.0
    assert corrected_entropy(spectrum_of(np.array(counts))) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_standard_error_is_the_spread_of_repeated_samples() -> None:
    """Sequences that each stick to one symbol: their number, not the tokens', decides the error."""
    rng = np.random.default_rng(4)
    lengths = np.full(200, 25)
    estimates = [
        conditional_entropies(np.repeat(rng.choice(2, size=200, p=[0.8, 0.2]), 25), lengths, 1, with_errors=True)[0]
        for _ in range(200)
    ]
    spread = np.std([estimate.plug_in for estimate in estimates])
    assert np.mean([e.plug_in_standard_error for e in estimates]) == pytest.approx(spread, rel=0.15)


def test_coverage() -> None:
    assert sample_coverage(spectrum_of(np.array([1, 1, 8]))) == pytest.approx(0.8)
    assert sample_coverage(spectrum_of(np.array([1, 1]))) == 0.0


def test_a_budget_cuts_the_last_sequence() -> None:
    tokens = np.array([0, 1, 2, 3, 10, 11, 12, 20, 21, 22, 23, 24], dtype=np.uint32)
    source = SourceSequences("text", tokens, np.array([4, 3, 5]))
    for budget, lengths in ((6, [4, 2]), (12, [4, 3, 5]), (7, [4, 3])):
        taken, of_each = source.first(budget)
        assert (taken.tolist(), of_each.tolist()) == (tokens[:budget].tolist(), lengths)


def test_lengths_must_match() -> None:
    with pytest.raises(ValueError, match="sum to 5"):
        conditional_entropies(np.arange(4), np.array([5]), 2)
