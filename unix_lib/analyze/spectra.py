"""How many symbols were seen how often: all that an entropy estimate needs of a sample.

Spectra of disjoint sets of symbols add up, so a sample can be counted in parts of any size, and what leaves out one
group of it differs from the whole only in the symbols that the group has.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

_RARE = 1 << 12  # almost all symbols are seen less often: these counts are indices, the others keys


@dataclass(frozen=True)
class Spectrum:
    """Frequencies of counts.

    Attributes:
        values: float64 (K,), distinct counts above zero, rising.
        frequencies: float64 (K,), symbols with each count.
        total: size of the sample, the sum of their products.
    """

    values: np.ndarray
    frequencies: np.ndarray
    total: int

    def symbols_seen(self, times: int) -> float:
        """Symbols seen exactly so often."""
        return float(self.frequencies[self.values == times].sum())


class Spectra:
    """The spectrum of a whole sample, and those without each one of its groups; built from parts of its symbols."""

    def __init__(self, groups: int) -> None:
        """Begin with nothing seen; `groups` may be 0."""
        # Row 0 is the whole sample; row g + 1 what changes in it without group g.
        self._rare = np.zeros((groups + 1, _RARE), dtype=np.int64)
        self._frequent: Counter[tuple[int, int]] = Counter()

    def add(self, counts: np.ndarray) -> None:
        """Take in symbols by their counts, integers (K,); zeros are symbols that were not seen."""
        self._change(np.zeros(len(counts), dtype=np.int64), counts, 1)

    def leave_out(self, groups: np.ndarray, counts: np.ndarray, of_group: np.ndarray) -> None:
        """Say how often symbols that were added are seen in a group: for each pair of a symbol and a group that has it.

        Args:
            groups: integers (P,). counts: integers (P,), the symbol's count in the whole sample. of_group: its count in
                the group.
        """
        rows = groups.astype(np.int64) + 1
        self._change(rows, counts, -1)
        self._change(rows, counts - of_group, 1)

    def merge(self, other: "Spectra") -> None:
        """Take in what was counted of other symbols."""
        self._rare += other._rare
        self._frequent.update(other._frequent)

    def whole(self) -> Spectrum:
        """The spectrum of the whole sample."""
        return self._row(None)

    def without(self, group: int) -> Spectrum:
        """The spectrum of the sample without a group."""
        return self._row(group + 1)

    def _change(self, rows: np.ndarray, counts: np.ndarray, sign: int) -> None:
        rare = counts < _RARE
        places = rows[rare] * _RARE + counts[rare]
        self._rare += sign * np.bincount(places, minlength=self._rare.size).reshape(self._rare.shape)
        for row, count in zip(rows[~rare].tolist(), counts[~rare].tolist(), strict=True):
            self._frequent[row, count] += sign

    def _row(self, change: int | None) -> Spectrum:
        rows = (0,) if change is None else (0, change)
        rare = self._rare[list(rows)].sum(axis=0)
        seen = np.flatnonzero(rare[1:]) + 1
        frequent: Counter[int] = Counter()
        for (row, count), symbols in self._frequent.items():
            if row in rows:
                frequent[count] += symbols
        counts = sorted(count for count, symbols in frequent.items() if symbols)
        values = np.concatenate((seen, np.array(counts, dtype=np.int64)))
        frequencies = np.concatenate((rare[seen], np.array([frequent[count] for count in counts], dtype=np.int64)))
        return Spectrum(values.astype(np.float64), frequencies.astype(np.float64), int(values @ frequencies))


def spectrum_of(counts: np.ndarray) -> Spectrum:
    """The spectrum of a sample whose symbols were seen `counts` times, integers (K,)."""
    spectra = Spectra(0)
    spectra.add(np.asarray(counts))
    return spectra.whole()
