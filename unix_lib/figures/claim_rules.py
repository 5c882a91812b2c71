"""The paper's seven claims, each with the rule that turns this experiment's tables into a difference and a verdict.

A claim may have several parts (orders n, architectures it is compared with). Every difference is written so that it
is positive where the claim holds. Claims about the data or about gradients inside one model need no second training
seed, claims that compare architectures do.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from unix_lib.artefacts.manifest import read_manifest
from unix_lib.figures.conditional_entropy import LEAST_COVERAGE
from unix_lib.figures.evidence import (
    NOT_MEASURABLE,
    REPLICATES,
    SEED,
    UNDECIDED,
    Difference,
    normal_difference,
    over_seeds,
    paired_score_difference,
    prompt_values,
    verdict_of,
)
from unix_lib.figures.gradient_conflict import separate_layers
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.published import ENTROPY_BITS
from unix_lib.figures.style import architecture_name, ordered_architectures, preset_of

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
    conflict = inputs.table("conflicts", "conflict.parquet")
    values = prompt_values(inputs)
    return [
        *entropy_claim(inputs.table("entropy", "entropy.parquet")),
        *depth_claim(conflict),
        *middle_claim(conflict),
        *score_claim(values),
        *throughput_claim(inputs),
        *split_claim(values),
        Finding(
            7, "", "82 against 80 on GenEval", "", None, NOT_MEASURABLE,
            "needs a 3B model trained on 140B tokens and the published benchmark files",
        ),
    ]  # fmt: skip


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
            verdict, reason = verdict_of(difference, compares_architectures=False)
            seen = min(picture.coverage, text.coverage)
            if seen < LEAST_COVERAGE:
                verdict = UNDECIDED
                reason = f"{picture.tokens:,} tokens show only {seen:.0%} of the n-grams, the estimate still moves"
            measured = f"{picture.source} {picture.corrected:.2f}, {text.source} {text.corrected:.2f} bits"
            yield Finding(1, f"n = {order}, {picture.source}", published, measured, difference, verdict, reason)


def depth_claim(conflict: pd.DataFrame) -> Iterator[Finding]:
    """Shallow and deep layers minus the middle ones of the shared transformer; spread over splits and checkpoints."""
    parts = ("shallow minus middle", "deep minus middle")
    shared = _of_preset(conflict, "shared")
    for position, part in enumerate(parts):
        if shared.empty:
            yield Finding(2, part, "U-shape, no figures", "", None, NOT_MEASURABLE, "no shared transformer analysed")
            continue
        regions = _regions(conflict)
        by_region = _mean_conflict(shared.assign(region=shared.layer.map(regions)), ["seed", "step", "split", "region"])
        wide = by_region.unstack("region")
        outer = ("shallow", "deep")[position]
        values = (wide[outer] - wide["middle"]).to_numpy()
        low, high = np.percentile(values, [2.5, 97.5])
        seeds = shared.seed.nunique()
        difference = Difference(float(values.mean()), float(low), float(high), len(values), seeds)
        verdict, reason = verdict_of(difference, compares_architectures=False)
        reason += f"; within {seeds} trained model{'s' * (seeds > 1)}, over splits and checkpoints"
        measured = f"{outer} {wide[outer].mean():.3f}, middle {wide['middle'].mean():.3f}"
        yield Finding(2, part, "U-shape, no figures", measured, difference, verdict, reason)


def middle_claim(conflict: pd.DataFrame) -> Iterator[Finding]:
    """Conflict of the shared transformer minus Uni-X's in the layers that Uni-X shares, on the same documents."""
    published = "lower, no figures"
    shared, unix = _of_preset(conflict, "shared"), _of_preset(conflict, "unix")
    if shared.empty or unix.empty:
        yield Finding(3, "", published, "", None, NOT_MEASURABLE, "needs the shared transformer and Uni-X analysed")
        return
    first = ordered_architectures(unix.architecture)[0]
    unix = unix[unix.architecture == first]
    middle = set(unix.layer)
    keys = ["split", "step", "seed"]
    sides = [_mean_conflict(rows[rows.layer.isin(middle)], keys) for rows in (shared, unix)]
    paired = (sides[0] - sides[1]).dropna()
    if paired.empty:
        yield Finding(3, "", published, "", None, NOT_MEASURABLE, "the two were analysed at no common step and seed")
        return
    by_seed = paired.groupby(["split", "seed"]).mean().unstack("seed").dropna()
    difference = over_seeds(by_seed.to_numpy(), by_seed.mean().to_numpy(), len(paired))
    verdict, reason = verdict_of(difference, compares_architectures=True)
    measured = f"shared {sides[0].mean():.3f}, {architecture_name(first)} {sides[1].mean():.3f}"
    yield Finding(3, "", published, measured, difference, verdict, reason)


def score_claim(values: pd.DataFrame) -> Iterator[Finding]:
    """The first Uni-X split against every architecture that is not Uni-X."""
    published = {"shared": "41.6 against 38.0 (?)", "mot": "41.6 against 34.6 (?)"}
    names = ordered_architectures(values.architecture)
    unix = next((name for name in names if preset_of(name) == "unix"), None)
    others = [name for name in names if preset_of(name) != "unix"]
    if unix is None or not others:
        yield Finding(4, "", published["shared"], "", None, NOT_MEASURABLE, "needs Uni-X and another one evaluated")
        return
    for other in others:
        part = f"against {architecture_name(other)}"
        known = published.get(preset_of(other), "better, figure not known")
        difference = paired_score_difference(values, unix, other)
        if difference is None:
            yield Finding(
                4, part, known, "", None, NOT_MEASURABLE, "needs all three families of benchmarks on a common seed"
            )
            continue
        verdict, reason = verdict_of(difference, compares_architectures=True)
        measured = f"{100 * _mean_score(values, unix):.1f} against {100 * _mean_score(values, other):.1f}"
        yield Finding(4, part, known, measured, _in_percent(difference), verdict, reason)


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
    unix = next((name for name in names if preset_of(name) == "unix"), None)
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
        verdict, reason = verdict_of(difference, compares_architectures=True)
        if not on_gpu:
            verdict, reason = NOT_MEASURABLE, "trained on a shared CPU: the claim is about GPUs, shown for completeness"
        measured = f"{medians[0].mean():,.0f} against {medians[1].mean():,.0f} tokens/s"
        part = f"against {architecture_name(other)}"
        yield Finding(5, part, "second only to shared (?)", measured, difference, verdict, reason)


def split_claim(values: pd.DataFrame) -> Iterator[Finding]:
    """9:5 against every other split of a sweep on the 28-layer model."""
    published = "best of the sweep (?)"
    splits = [name for name in ordered_architectures(values.architecture) if preset_of(name) == "unix"]
    others = [name for name in splits if name != "unix 9:5"]
    if "unix 9:5" not in splits or not others:
        yield Finding(6, "", published, "", None, NOT_MEASURABLE, "needs a sweep of splits with 9:5 among them")
        return
    for other in others:
        difference = paired_score_difference(values, "unix 9:5", other)
        if difference is not None:
            verdict, reason = verdict_of(difference, compares_architectures=True)
            measured = f"{100 * _mean_score(values, 'unix 9:5'):.1f} against {100 * _mean_score(values, other):.1f}"
            part = f"against {architecture_name(other)}"
            yield Finding(6, part, published, measured, _in_percent(difference), verdict, reason)


def _of_preset(conflict: pd.DataFrame, preset: str) -> pd.DataFrame:
    """Rows of one preset where a value was measured."""
    return conflict[conflict.shared & (conflict.architecture.map(preset_of) == preset)] if len(conflict) else conflict


def _mean_conflict(rows: pd.DataFrame, keys: list[str]) -> pd.Series:
    """Mean over layers and projections; each layer has all seven."""
    return rows.groupby(keys).conflict.mean()


def _regions(conflict: pd.DataFrame) -> dict[int, str]:
    """Layer -> shallow, middle or deep: as this experiment's Uni-X cuts them, in thirds where it has none."""
    layers = sorted(conflict.layer.unique())
    separate = {layer - 1 for layer in separate_layers(conflict)}
    middle = [layer for layer in layers if layer not in separate] if separate else []
    if not middle or middle[0] == layers[0] or middle[-1] == layers[-1]:
        third = max(1, len(layers) // 3)  # ASSUME: without a split that separates both ends, thirds
        middle = layers[third:-third] or layers
    return {layer: "shallow" if layer < middle[0] else "deep" if layer > middle[-1] else "middle" for layer in layers}


def _mean_score(values: pd.DataFrame, architecture: str) -> float:
    """Mean over families, benchmarks, strata and prompts of an architecture, over seeds."""
    rows = values[values.architecture == architecture]
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
    return {inputs.recipe(artefact).settings["run"] for artefact in inputs.existing.get("evaluations", [])}


def _resampled_median(steps: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Medians of resamples of the steps, (R,)."""
    return np.median(rng.choice(steps, size=(REPLICATES // 4, len(steps))), axis=1).repeat(4)
