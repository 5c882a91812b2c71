"""Entropy of an unknown distribution, estimated from how often each of its symbols was seen.

Two estimates in bits, because with few samples they differ a lot and the reader should see it: the plug-in estimate is
the entropy of the sample itself, never above log2(N) and so far too low when most symbols were seen once; the corrected
one adds the mass of what was not seen yet.
"""

import numpy as np
from scipy.special import digamma

from unix_lib.analyze.spectra import Spectrum

# Nodes of the trapezoid rule below; the integrand is analytic on the whole line, so the error falls
# exponentially in 1 / step and is under 1e-12 here.
_LOG_NODES = np.linspace(-80.0, 6.0, 4301)


def plug_in_entropy(spectrum: Spectrum) -> float:
    """Entropy of the empirical distribution, bits."""
    values, frequencies, total = spectrum.values, spectrum.frequencies, spectrum.total
    if total == 0:
        return 0.0
    return float(np.log2(total) - (frequencies * values * np.log2(values)).sum() / total)


def corrected_entropy(spectrum: Spectrum) -> float:
    """Entropy by the estimator of Chao, Wang and Jost, bits.

    Methods in Ecology and Evolution 4 (2013), 1091-1100, equation 7: unbiased for the part that the sample
    resolves, and a Good-Turing estimate from the symbols seen once and twice for the rest. It assumes
    independent samples; overlapping n-grams are not quite that.
    """
    values, frequencies, total = spectrum.values, spectrum.frequencies, spectrum.total
    if total <= 1:
        return 0.0
    seen = (frequencies * values * (digamma(total) - digamma(values))).sum() / total
    once, twice = spectrum.symbols_seen(1), spectrum.symbols_seen(2)
    return float((seen + once / total * _unseen_tail(once, twice, total)) / np.log(2.0))


def sample_coverage(spectrum: Spectrum) -> float:
    """Good-Turing estimate of the share of the distribution's mass whose symbols were seen at least once."""
    return 1.0 - spectrum.symbols_seen(1) / spectrum.total if spectrum.total else 0.0


def _unseen_tail(once: float, twice: float, total: int) -> float:
    """(1 - A)^(1 - N) (-log A - sum_{r<N} (1 - A)^r / r), nats, without its cancellation.

    The bracket is sum_{r>=N} (1 - A)^r / r, so the term equals x * integral_0^inf e^(-N u) / (1 - x e^(-u)) du with
    x = 1 - A; the substitution N u = e^s makes it smooth.
    """
    if once == 0:
        return 0.0
    weight_once, weight_twice = (once, twice) if twice > 0 else (once - 1.0, 1.0)
    unseen = 2.0 * weight_twice / ((total - 1) * weight_once + 2.0 * weight_twice)
    if unseen >= 1.0:
        return 0.0
    scaled = np.exp(_LOG_NODES)
    denominator = -np.expm1(np.log1p(-unseen) - scaled / total)
    integral = np.trapezoid(scaled * np.exp(-scaled) / denominator, _LOG_NODES)
    return float((1.0 - unseen) * integral / total)
