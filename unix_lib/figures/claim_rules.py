"""The paper's seven claims, each with the rule that turns this experiment's tables into a difference and a verdict.

A claim may have several parts (orders n, architectures it is compared with). Every difference is written so that it
is positive where the claim holds. A claim about the data needs no second training seed, claims about what training
makes of an architecture do.

The paper's conflict c mixes what gradients point at with how noisy they are (`unix_lib.analyze.conflict`). Claims 2 and
3 are therefore decided by c only where the difference of the noise-corrected conflict says the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from unix_lib.analyze.attenuation import LEAST_RELIABILITY, corrected_by
from unix_lib.artefacts.manifest import read_manifest
from unix_lib.figures.conditional_entropy import LEAST_COVERAGE
from unix_lib.figures.evidence import (
    FAILS,
    HOLDS,
    NOT_MEASURABLE,
    REPLICATES,
    SEED,
    UNDECIDED,
    Difference,
    normal_difference,
    over_seeds,
    over_splits,
    paired_score_difference,
    prompt_values,
    verdict_of,
)
from unix_lib.figures.gradient_conflict import measured_conflict, separate_layers
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.published import ARCHITECTURE_ROWS, ENTROPY_BITS, MULTIMODAL_ROWS, SECOND_HAND
from unix_lib.figures.style import PAPER_SPLIT, architecture_name, compared_unix, ordered_architectures, preset_of

# PAPER: the seven claims.
STATEMENTS = {
    1: "Image tokens have far higher conditional entropy than text",
    2: "In a shared transformer, gradients conflict more in shallow and deep layers than in the middle",
    3: "Uni-X lowers the conflict left in the shared middle layers",
    4: "At equal data Uni-X beats the other architectures on the mean score",
    5: "Uni-X trains faster than every architecture but the shared one",
    6: "The split 9:5 is best on the 28-layer model",
    7: "With 3B active parameters it matches or beats 7B autoregressive models",
}
ENTROPY_ORDERS = (2, 3)
WARM_UP_SHARE = 0.1  # of the steps, left out of throughput


@dataclass(frozen=True)
class Finding:
    """One part of a claim, as measured."""

    claim: int
    part: str
    published: str
    measured: str
    difference: Difference | None
    verdict: str
    reason: str


def findings(inputs: Inputs) -> list[Finding]:
    """All claims on all that exists."""
    conflict = measured_conflict(inputs)
    documents = int(conflict.documents.min()) if len(conflict) else 0
    values = prompt_values(inputs)
    return [
        *entropy_claim(inputs.table("entropy", "entropy.parquet")),
        *depth_claim(conflict, documents),
        *middle_claim(conflict, documents),
        *score_claim(values),
        *throughput_claim(inputs),
        *split_claim(values),
        scale_claim(),
    ]


def entropy_claim(entropy: pd.DataFrame) -> Iterator[Finding]:
    """Each image source against the text source that comes closest, at the common budget, bias-corrected."""
    at_budget = entropy[entropy.budget] if len(entropy) else entropy
    for order in ENTROPY_ORDERS:
        *texts, image = ENTROPY_BITS[order]
        published = f"{image:.2f} against {min(filter(None, texts)):.2f} to {max(filter(None, texts)):.2f} bits"
        rows = at_budget[at_budget.n == order] if len(at_budget) else at_budget
        if not len(rows) or set(rows.modality) != {"text", "image"}:
            yield Finding(1, f"n = {order}", published, "", None, NOT_MEASURABLE, "needs a text and an image source")
            continue
        text = rows[rows.modality == "text"].sort_values("corrected").iloc[-1]
        for picture in rows[rows.modality == "image"].itertuples():
            difference = normal_difference(
                picture.corrected - text.corrected,
                (picture.corrected_standard_error**2 + text.corrected_standard_error**2) ** 0.5,
                int(picture.tokens),
            )
            verdict, reason = verdict_of(difference, of_training=False)
            seen = min(picture.coverage, text.coverage)
            if seen < LEAST_COVERAGE:
                verdict = UNDECIDED
                reason = f"{picture.tokens:,} tokens show only {seen:.0%} of the n-grams, the estimate still moves"
            measured = f"{picture.source} {picture.corrected:.2f}, {text.source} {text.corrected:.2f} bits"
            yield Finding(1, f"n = {order}, {picture.source}", published, measured, difference, verdict, reason)


def depth_claim(conflict: pd.DataFrame, documents: int) -> Iterator[Finding]:
    """Shallow and deep layers minus the middle ones of the shared transformer."""
    published = "U-shape, no figures"
    shared = _of_preset(conflict, "shared")
    for outer in ("shallow", "deep"):
        part = f"{outer} minus middle"
        if shared.empty:
            yield Finding(2, part, published, "", None, NOT_MEASURABLE, "no shared transformer analysed")
            continue
        regions = shared.layer.map(_regions(conflict))
        sides = [shared[regions == region] for region in (outer, "middle")]
        yield _conflict_finding(2, part, published, sides, [outer, "middle"], documents)


def middle_claim(conflict: pd.DataFrame, documents: int) -> Iterator[Finding]:
    """Conflict of the shared transformer minus Uni-X's in the layers that Uni-X shares, on the same documents."""
    published = "lower, no figures"
    shared, unix = _of_preset(conflict, "shared"), _of_preset(conflict, "unix")
    if shared.empty or unix.empty:
        yield Finding(3, "", published, "", None, NOT_MEASURABLE, "needs the shared transformer and Uni-X analysed")
        return
    chosen = compared_unix(ordered_architectures(unix.architecture))
    unix = unix[unix.architecture == chosen]
    keys = ["seed", "step"]
    common = shared[keys].drop_duplicates().merge(unix[keys].drop_duplicates())
    if common.empty:
        yield Finding(3, "", published, "", None, NOT_MEASURABLE, "the two were analysed at no common step and seed")
        return
    sides = [rows[rows.layer.isin(set(unix.layer))].merge(common) for rows in (shared, unix)]
    yield _conflict_finding(3, "", published, sides, ["shared", architecture_name(str(chosen))], documents)


def _conflict_finding(  # noqa: PLR0917
    claim: int, part: str, published: str, sides: list[pd.DataFrame], names: list[str], documents: int
) -> Finding:
    """First side minus second: by the paper's c, held against the noise-corrected conflict.

    Checkpoints of a seed are averaged: they are one training run.
    """
    by_seed = [rows.groupby(["split", "seed"]).conflict.mean().unstack("seed") for rows in sides]
    paired = (by_seed[0] - by_seed[1]).dropna()
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
    return Finding(claim, part, published, measured, difference, verdict, reason)


def score_claim(values: pd.DataFrame) -> Iterator[Finding]:
    """Uni-X against every architecture that is not Uni-X."""
    names = ordered_architectures(values.architecture)
    unix = compared_unix(names)
    others = [name for name in names if preset_of(name) != "unix"]
    if unix is None or not others:
        yield Finding(
            4, "", _published_means("shared"), "", None, NOT_MEASURABLE, "needs Uni-X and another one evaluated"
        )
        return
    for other in others:
        part = f"{architecture_name(unix)} against {architecture_name(other)}"
        yield _score_finding(4, part, _published_means(preset_of(other)), values, unix, other)


def _score_finding(  # noqa: PLR0917
    claim: int, part: str, published: str, values: pd.DataFrame, better: str, other: str
) -> Finding:
    """The mean score of one architecture minus that of another, on the seeds that both have."""
    difference = paired_score_difference(values, better, other)
    if difference is None:
        reason = "needs all three families of benchmarks on a common seed"
        return Finding(claim, part, published, "", None, NOT_MEASURABLE, reason)
    verdict, reason = verdict_of(difference, of_training=True)
    sides = [values[values.architecture == name] for name in (better, other)]
    means = [100 * _mean_score(rows[rows.seed.isin(set(sides[0].seed) & set(sides[1].seed))]) for rows in sides]
    measured = f"{means[0]:.1f} against {means[1]:.1f}"
    return Finding(claim, part, published, measured, _in_percent(difference), verdict, reason)


def _published_means(other: str) -> str:
    """The paper's mean scores of Uni-X and another preset."""
    known = {row.model.lower(): row for row in ARCHITECTURE_ROWS}
    unix, against = known[architecture_name(PAPER_SPLIT).lower()], known.get(other)
    if against is None:
        return "better, figure not known"
    return (
        f"{unix.values[0]} against {against.values[0]}{' (?)' * (SECOND_HAND in (unix.certainty, against.certainty))}"
    )


def throughput_claim(inputs: Inputs) -> Iterator[Finding]:
    """Tokens per second in training, relative to the other architecture's; steps are resampled."""
    speeds: dict[str, dict[int, np.ndarray]] = {}
    on_gpu = True
    for folder in inputs.folders("checkpoints"):
        manifest = read_manifest(folder)
        path = folder / "speed.parquet"
        if not path.exists() or manifest.facts["run"] not in _compared_runs(inputs):
            continue
        steps = pd.read_parquet(path).tokens_per_second.dropna().to_numpy()
        speeds.setdefault(manifest.facts["architecture"], {})[manifest.facts["seed"]] = steps[
            int(len(steps) * WARM_UP_SHARE) :
        ]
        on_gpu &= bool(manifest.provenance["execution"].get("job", {}).get("gpus"))
    names = ordered_architectures(pd.Series(list(speeds), dtype=object))
    unix = compared_unix(names)
    others = [name for name in names if preset_of(name) not in ("unix", "shared")]
    if unix is None or not others:
        yield Finding(
            5, "", "second only to shared (?)", "", None, NOT_MEASURABLE, "needs the speed of Uni-X and another one"
        )
        return
    rng = np.random.default_rng(SEED)
    for other in others:
        seeds = sorted(set(speeds[unix]) & set(speeds[other]))
        if not seeds:
            continue
        sides = [[speeds[name][seed] for seed in seeds] for name in (unix, other)]
        medians = [np.array([np.median(steps) for steps in side]) for side in sides]
        drawn = [np.stack([_resampled_median(steps, rng) for steps in side], axis=1) for side in sides]
        difference = _in_percent(
            over_seeds(drawn[0] / drawn[1] - 1, medians[0] / medians[1] - 1, min(map(len, sides[0] + sides[1])))
        )
        verdict, reason = verdict_of(difference, of_training=True)
        if not on_gpu:
            verdict, reason = NOT_MEASURABLE, "trained on a shared CPU: the claim is about GPUs, shown for completeness"
        measured = f"{medians[0].mean():,.0f} against {medians[1].mean():,.0f} tokens/s"
        part = f"{architecture_name(unix)} against {architecture_name(other)}"
        yield Finding(5, part, "second only to shared (?)", measured, difference, verdict, reason)


def split_claim(values: pd.DataFrame) -> Iterator[Finding]:
    """9:5 against every other split of a sweep on the 28-layer model."""
    published = "best of the sweep (?)"
    splits = [name for name in ordered_architectures(values.architecture) if preset_of(name) == "unix"]
    others = [name for name in splits if name != PAPER_SPLIT]
    if PAPER_SPLIT not in splits or not others:
        yield Finding(6, "", published, "", None, NOT_MEASURABLE, "needs a sweep of splits with 9:5 among them")
        return
    for other in others:
        yield _score_finding(6, f"against {architecture_name(other)}", published, values, PAPER_SPLIT, other)


def scale_claim() -> Finding:
    """GenEval's own prompts can't be judged here, so there is nothing to compare with the published scores."""
    scores = {row.model: row.values[0] for row in MULTIMODAL_ROWS}
    best = max(score for model, score in scores.items() if model.endswith("-7B") and score is not None)
    reason = "GenEval's own prompts need its judge (Mask2Former and CLIP), which is not in this version"
    return Finding(7, "", f"{scores['Uni-X-3B']} against {best} on GenEval", "", None, NOT_MEASURABLE, reason)


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


def _mean_score(rows: pd.DataFrame) -> float:
    """Mean over families, benchmarks, strata and prompts, over seeds."""
    for keys in (
        ["family", "benchmark", "stratum", "prompt"],
        ["family", "benchmark", "stratum"],
        ["family", "benchmark"],
        ["family"],
    ):
        rows = rows.groupby(keys, as_index=False).value.mean()
    return float(rows.value.mean())


def _in_percent(difference: Difference) -> Difference:
    return Difference(
        100 * difference.value, 100 * difference.low, 100 * difference.high, difference.n, difference.seeds
    )


def _compared_runs(inputs: Inputs) -> set[str]:
    """Runs that were evaluated, so that a base run's speed does not count as an architecture's."""
    return {read_manifest(folder).facts["run"] for folder in inputs.folders("evaluations")}


def _resampled_median(steps: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Medians of resamples of the steps, (R,)."""
    return np.repeat(np.median(rng.choice(steps, size=(REPLICATES // 4, len(steps))), axis=1), 4)
