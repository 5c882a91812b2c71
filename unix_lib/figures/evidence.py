"""Differences with 95% intervals, and the verdict that an interval allows.

A difference has replicates within each training seed (bootstrap resamples of prompts, random splits, steps); the
interval around its mean over seeds covers both. Seeds are too few to resample (three of them have ten distinct
resamples), so their part of the uncertainty is drawn from Student's t with S - 1 degrees of freedom around the mean;
with one seed it is unknown, and a claim about what training makes stays undecided.
"""

import json
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import special

from unix_lib.evaluate.geneval import samples_of
from unix_lib.evaluate.intervals import Z_95
from unix_lib.figures.family_means import FAMILIES
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.scores import final_scores

HOLDS, FAILS, UNDECIDED, NOT_MEASURABLE = "holds", "does not hold", "undecided", "not measurable here"
REPLICATES = 4000
SEED = 218
VALUE_COLUMNS = ["architecture", "seed", "family", "benchmark", "stratum", "prompt", "value"]


@dataclass(frozen=True)
class Difference:
    """A difference whose sign the claim predicts to be positive; `n` counts the samples behind it."""

    value: float
    low: float
    high: float
    n: int
    seeds: int


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


def not_measurable(claim: int, part: str, published: str, reason: str) -> Finding:
    """A part of a claim for which there is nothing to compare."""
    return Finding(claim, part, published, "", None, NOT_MEASURABLE, reason)


def verdict_of(difference: Difference, *, of_training: bool) -> tuple[str, str]:
    """What the interval allows to say, and why.

    One seed can't decide a claim about what training makes of an architecture (`of_training`).
    """
    if not np.isfinite([difference.value, difference.low, difference.high]).all():
        return NOT_MEASURABLE, "the difference has no interval"
    direction = "in the claim's favour" if difference.value > 0 else "against the claim"
    if abs(difference.value) < (difference.high - difference.low) / 4:  # about one standard error
        direction = "close to 0"
    if of_training and difference.seeds < 2:
        return UNDECIDED, f"one training seed can't decide; its figure is {direction}"
    if difference.low > 0:
        return HOLDS, "the 95% interval of the difference lies above 0"
    if difference.high < 0:
        return FAILS, "the 95% interval of the difference lies below 0"
    return UNDECIDED, f"the 95% interval of the difference contains 0; the figure is {direction}"


def over_seeds(replicates: np.ndarray, point: np.ndarray, n: int) -> Difference:
    """Combine replicates within seeds with the spread between seeds; `n` counts the samples behind each seed's.

    Args:
        replicates: float (R, S), the difference in each replicate and seed; a replicate is the same resample in all
            seeds.
        point: float (S,), the difference of each seed on the full sample.
    """
    seeds = replicates.shape[1]
    draws = replicates.mean(axis=1)
    if seeds > 1:
        error = point.std(ddof=1) / seeds**0.5
        draws = draws + error * np.random.default_rng(SEED).standard_t(seeds - 1, size=len(draws))
    low, high = np.percentile(draws, [2.5, 97.5])
    return Difference(float(point.mean()), float(low), float(high), n, seeds)


def over_splits(by_seed: pd.DataFrame, n: int) -> Difference:
    """A difference over seeds whose value within a seed is a mean over random splits of the same documents.

    A split's standard deviation stands for the error that the choice of documents leaves: it is that of half of them,
    so it is rather too large.

    `by_seed` has a row per split and a column per seed; `n` counts the documents behind each seed's difference.
    """
    point = by_seed.mean().to_numpy()
    error = by_seed.mean(axis=1).std(ddof=1) if len(by_seed) > 1 else np.nan
    noise = np.random.default_rng(SEED + 1).normal(0.0, 1.0, (REPLICATES, 1)) * error
    return over_seeds(point + noise, point, n)


def normal_difference(value: float, standard_error: float, n: int) -> Difference:
    """A difference of independent estimates with a normal interval; no training seed is involved."""
    return Difference(value, value - Z_95 * standard_error, value + Z_95 * standard_error, n, 0)


def paired_score_difference(values: pd.DataFrame, better: str, other: str) -> Difference | None:
    """Difference of two architectures' mean score over families, by a paired bootstrap over prompts.

    Positive where `better` scores higher; None where the two share no seed or no family is complete. `values` are those
    of `prompt_values`.
    """
    both = [values[values.architecture == name] for name in (better, other)]
    seeds = sorted(set(both[0].seed) & set(both[1].seed))
    if not seeds or set(FAMILIES) - set(both[0].family) or set(FAMILIES) - set(both[1].family):
        return None
    rng = np.random.default_rng(SEED)
    family_replicates, family_points, n = [], [], 0
    for family in FAMILIES:
        replicates, points = [], []
        of_family = [rows[rows.family == family] for rows in both]
        for benchmark in sorted(set(of_family[0].benchmark) & set(of_family[1].benchmark)):
            keys = ["seed", "stratum", "prompt"]
            means = [rows[rows.benchmark == benchmark].groupby(keys).value.mean() for rows in of_family]
            paired = (means[0] - means[1]).dropna().unstack("seed")[seeds].dropna()
            if paired.empty:
                return None
            resampled, point = _bootstrap(paired, rng)
            replicates.append(resampled)
            points.append(point)
            n += len(paired)
        if not points:
            return None
        family_replicates.append(np.mean(replicates, axis=0))
        family_points.append(np.mean(points, axis=0))
    difference = over_seeds(np.mean(family_replicates, axis=0), np.mean(family_points, axis=0), n)
    if difference.low == difference.high:  # all alike: what n samples without a deviation leave possible
        slack = 2 * (1 - 0.025 ** (1 / n))
        difference = replace(difference, low=difference.low - slack, high=difference.high + slack)
    return difference


def _bootstrap(paired: pd.DataFrame, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Resample prompts within strata; mean over strata of the mean difference, (R, S) and (S,).

    Few prompts make such replicates too narrow. As for single scores (`unix_lib.evaluate.intervals.bootstrap`), one
    prompt fewer than there are is drawn, and deviations are stretched to Student's t.
    """
    replicates, points = [], []
    strata = [rows.to_numpy() for _, rows in paired.groupby(level="stratum")]
    for differences in strata:
        count = len(differences)
        drawn = max(1, count - 1)
        weights = rng.multinomial(drawn, np.full(count, 1.0 / count), size=REPLICATES) / drawn
        replicates.append(weights @ differences)
        points.append(differences.mean(axis=0))
    point = np.mean(points, axis=0)
    stretch = special.stdtrit(max(1, len(paired) - len(strata)), 0.975) / Z_95
    return point + stretch * (np.mean(replicates, axis=0) - point), point


def prompt_values(inputs: Inputs) -> pd.DataFrame:
    """Value of every prompt at the last step that all runs have: equal data, also while some still train.

    Columns: `architecture, seed, family, benchmark, stratum, prompt, value`.

    Images that were asked to show the same thing belong together. Where a score is a mean over tasks, they are strata.
    """
    scores = final_scores(inputs.table("evaluations", "scores.parquet"))
    if scores.empty or scores.step.nunique() > 1:  # without a common step nothing is at equal data
        return pd.DataFrame(columns=VALUE_COLUMNS)
    final = scores.drop_duplicates("artefact")[["artefact", "run", "step", "architecture", "seed"]]
    benchmarks = inputs.benchmarks.set_index("benchmark")
    parts = []
    for row in final.itertuples():
        for path in sorted((inputs.results / str(row.artefact) / "samples").glob("*.parquet")):
            samples = pd.read_parquet(path, columns=["sample_id", "task", "prompt", "answer", "value"])
            benchmark = benchmarks.loc[path.stem]
            parts.append(
                pd.DataFrame(
                    {
                        "architecture": row.architecture,
                        "seed": row.seed,
                        "family": benchmark.family,
                        "benchmark": path.stem,
                        "stratum": samples.task if benchmark.by_task else "",
                        "prompt": _asked(samples) if benchmark.family == "generation" else samples.sample_id,
                        "value": samples.value,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=VALUE_COLUMNS)


def _asked(samples: pd.DataFrame) -> list[str]:
    """What each image was asked to show, see `samples_of`."""
    prompts = [
        {"tag": row.task, "prompt": row.prompt} | json.loads(row.answer) for row in samples.itertuples(index=False)
    ]
    return samples_of(prompts)
