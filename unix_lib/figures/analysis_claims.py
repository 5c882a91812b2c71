"""Claims 1 to 3, on entropy and gradient conflict: from the analyses' tables to differences and verdicts.

The paper's conflict c mixes what gradients point at with how noisy they are (`unix_lib.analyze.conflict`). Claims 2 and
3 are therefore decided by c only where the difference of the noise-corrected conflict says the same.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from unix_lib.analyze.attenuation import LEAST_RELIABILITY, corrected_by
from unix_lib.analyze.entropy import error_freedom
from unix_lib.figures.conditional_entropy import LEAST_COVERAGE
from unix_lib.figures.evidence import (
    FAILS,
    HOLDS,
    UNDECIDED,
    Finding,
    difference_of_estimates,
    not_measurable,
    over_splits,
    verdict_of,
)
from unix_lib.figures.gradient_conflict import separate_layers
from unix_lib.figures.published import ENTROPY_BITS
from unix_lib.figures.style import architecture_name, compared_unix, ordered_architectures, preset_of

ENTROPY_ORDERS = (2, 3)


def entropy_claim(entropy: pd.DataFrame) -> Iterator[Finding]:
    """Each image source against the text source that comes closest, at the common budget, bias-corrected."""
    at_budget = entropy[entropy.budget] if len(entropy) else entropy
    for order in ENTROPY_ORDERS:
        *texts, image = ENTROPY_BITS[order]
        published = f"{image:.2f} against {min(filter(None, texts)):.2f} to {max(filter(None, texts)):.2f} bits"
        rows = at_budget[at_budget.n == order] if len(at_budget) else at_budget
        if not len(rows) or set(rows.modality) != {"text", "image"}:
            yield not_measurable(1, f"n = {order}", published, "needs a text and an image source")
            continue
        text = rows[rows.modality == "text"].sort_values("corrected").iloc[-1]
        for picture in rows[rows.modality == "image"].itertuples():
            difference = difference_of_estimates(
                picture.corrected - text.corrected,
                (picture.corrected_standard_error**2 + text.corrected_standard_error**2) ** 0.5,
                error_freedom(int(min(picture.sequences, text.sequences))),
                int(picture.tokens),
            )
            verdict, reason = verdict_of(difference, of_training=False)
            seen = min(picture.coverage, text.coverage)
            if seen < LEAST_COVERAGE:
                verdict = UNDECIDED
                reason = f"{picture.tokens:,} tokens show only {seen:.0%} of the n-grams, the estimate still moves"
            measured = f"{picture.source} {picture.corrected:.2f}, {text.source} {text.corrected:.2f} bits"
            yield Finding(1, f"n = {order}, {picture.source}", published, measured, difference, verdict, reason)


def depth_claim(conflict: pd.DataFrame) -> Iterator[Finding]:
    """Shallow and deep layers minus the middle ones of the shared transformer."""
    published = "U-shape, no figures"
    shared = _of_preset(conflict, "shared")
    for outer in ("shallow", "deep"):
        part = f"{outer} minus middle"
        if shared.empty:
            yield not_measurable(2, part, published, "no shared transformer analysed")
            continue
        regions = shared.layer.map(_regions(conflict))
        sides = [shared[regions == region] for region in (outer, "middle")]
        yield _conflict_finding(2, part, published, sides, [outer, "middle"])


def middle_claim(conflict: pd.DataFrame) -> Iterator[Finding]:
    """Conflict of the shared transformer minus Uni-X's in the layers that Uni-X shares, on the same documents."""
    published = "lower, no figures"
    shared, unix = _of_preset(conflict, "shared"), _of_preset(conflict, "unix")
    if shared.empty or unix.empty:
        yield not_measurable(3, "", published, "needs the shared transformer and Uni-X analysed")
        return
    chosen = compared_unix(ordered_architectures(unix.architecture))
    unix = unix[unix.architecture == chosen]
    keys = ["seed", "step"]
    common = shared[keys].drop_duplicates().merge(unix[keys].drop_duplicates())
    if common.empty:
        yield not_measurable(3, "", published, "the two were analysed at no common step and seed")
        return
    sides = [rows[rows.layer.isin(set(unix.layer))].merge(common) for rows in (shared, unix)]
    yield _conflict_finding(3, "", published, sides, ["shared", architecture_name(str(chosen))])


def _conflict_finding(claim: int, part: str, published: str, sides: list[pd.DataFrame], names: list[str]) -> Finding:
    """First side minus second: by the paper's c, held against the noise-corrected conflict.

    Checkpoints of a seed are averaged: they are one training run.
    """
    by_seed = [rows.groupby(["split", "seed"]).conflict.mean().unstack("seed") for rows in sides]
    paired = (by_seed[0] - by_seed[1]).dropna()
    documents = int(min(rows.documents.min() for rows in sides))
    difference = over_splits(paired, documents)
    verdict, reason = verdict_of(difference, of_training=True)
    measured = ", ".join(f"{name} {side.mean(axis=None):.3f}" for name, side in zip(names, by_seed, strict=True))

    decided = verdict in (HOLDS, FAILS)
    reliability = min(float(rows[name].mean()) for rows in sides for name in ("s_text", "s_image"))
    if reliability < LEAST_RELIABILITY:
        measured += f"; too noisy to correct (reliability {reliability:.2f})"
        if decided:
            verdict, reason = UNDECIDED, f"c alone says '{verdict}', but gradients are too noisy to tell noise from it"
        return Finding(claim, part, published, measured, difference, verdict, reason)

    if not all(rows.reached.all() for rows in sides):
        measured += f"; less reliable than the analysis asks for ({reliability:.2f})"
        if decided:
            verdict, reason = UNDECIDED, f"says '{verdict}', but on gradients less reliable than the analysis asks for"
            decided = False

    corrected = [corrected_by(rows, ["split", "seed"]).unstack("seed") for rows in sides]
    levels = ", ".join(f"{corrected_by(rows, ['seed']).mean():.3f}" for rows in sides)
    measured += f"; noise-corrected {levels}"
    true = over_splits((corrected[0] - corrected[1]).dropna(), documents)
    if decided and verdict_of(true, of_training=True)[0] != verdict:
        reason = (
            f"c alone says '{verdict}', but corrected for noise the difference is {true.value:+.3f} "
            f"[{true.low:+.3f}, {true.high:+.3f}]: c may show how noisy the gradients are, not where they point"
        )
        verdict = UNDECIDED
    # A change of the true cosine moves c by that much less than the corrected conflict.
    attenuation = float(np.mean([(rows.s_text * rows.s_image).clip(lower=0).pow(0.5).mean() for rows in sides]))
    return Finding(claim, part, published, measured, difference, verdict, reason, true.times(attenuation))


def _of_preset(conflict: pd.DataFrame, preset: str) -> pd.DataFrame:
    """Rows of one preset where a value was measured."""
    return conflict[conflict.shared & (conflict.architecture.map(preset_of) == preset)] if len(conflict) else conflict


def _regions(conflict: pd.DataFrame) -> dict[int, str]:
    """Layer -> shallow, middle or deep: as this experiment's Uni-X cuts them, in thirds where it has none."""
    layers = sorted(conflict.layer.unique())
    separate = {layer - 1 for layer in separate_layers(conflict)}
    middle = [layer for layer in layers if layer not in separate] if separate else []
    if not middle or middle[0] == layers[0] or middle[-1] == layers[-1]:
        third = max(1, len(layers) // 3)  # ASSUME: without a split that separates both ends, thirds
        middle = layers[third:-third] or layers
    return {layer: "shallow" if layer < middle[0] else "deep" if layer > middle[-1] else "middle" for layer in layers}
