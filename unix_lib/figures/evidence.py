"""Differences with 95% intervals, and the verdict that an interval allows.

What flows in: replicates of a difference within each training seed (bootstrap resamples of prompts, random splits,
steps). What flows out: the mean over seeds with an interval that covers both. Seeds are too few to resample (three of
them have ten distinct resamples), so their part of the uncertainty is drawn from Student's t with S - 1 degrees of
freedom around the mean; with one seed it is unknown, and a claim about architectures stays undecided.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from unix_lib.figures.family_means import FAMILIES
from unix_lib.figures.inputs import Inputs

HOLDS, FAILS, UNDECIDED, NOT_MEASURABLE = "holds", "does not hold", "undecided", "not measurable here"
REPLICATES = 4000
SEED = 218
Z_95 = 1.959964
VALUE_COLUMNS = ["architecture", "seed", "family", "benchmark", "stratum", "prompt", "value"]


@dataclass(frozen=True)
class Difference:
    """A difference whose sign the claim predicts to be positive; `n` counts the samples behind it."""

    value: float
    low: float
    high: float
    n: int
    seeds: int


def verdict_of(difference: Difference, *, compares_architectures: bool) -> tuple[str, str]:
    """What the interval allows to say, and why.

    Args:
        difference: positive where the claim holds.
        compares_architectures: then one training seed can't decide.
    """
    if not np.isfinite([difference.value, difference.low, difference.high]).all():
        return NOT_MEASURABLE, "the difference has no interval"
    direction = "in the claim's favour" if difference.value > 0 else "against the claim"
    if compares_architectures and difference.seeds < 2:
        return UNDECIDED, f"one seed can't decide between architectures; its figure is {direction}"
    if difference.low > 0:
        return HOLDS, "the 95% interval of the difference lies above 0"
    if difference.high < 0:
        return FAILS, "the 95% interval of the difference lies below 0"
    return UNDECIDED, f"the 95% interval of the difference contains 0; the figure is {direction}"


def over_seeds(replicates: np.ndarray, point: np.ndarray, n: int) -> Difference:
    """Combine replicates within seeds with the spread between seeds.

    Args:
        replicates: float (R, S), the difference in each replicate and seed; a replicate is the same resample in all
            seeds.
        point: float (S,), the difference of each seed on the full sample.
        n: samples behind each seed's difference.
    """
    seeds = replicates.shape[1]
    draws = replicates.mean(axis=1)
    if seeds > 1:
        error = point.std(ddof=1) / seeds**0.5
        draws = draws + error * np.random.default_rng(SEED).standard_t(seeds - 1, size=len(draws))
    low, high = np.percentile(draws, [2.5, 97.5])
    return Difference(float(point.mean()), float(low), float(high), n, seeds)


def normal_difference(value: float, standard_error: float, n: int) -> Difference:
    """A difference of independent estimates with a normal interval; no training seed is involved."""
    return Difference(value, value - Z_95 * standard_error, value + Z_95 * standard_error, n, 0)


def paired_score_difference(values: pd.DataFrame, better: str, other: str) -> Difference | None:
    """Difference of two architectures' mean score over families, by a paired bootstrap over prompts.

    Args:
        values: of `prompt_values`.
        better, other: architectures; positive where `better` scores higher.

    Returns:
        None where the two share no seed or no family is complete.
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
    return over_seeds(np.mean(family_replicates, axis=0), np.mean(family_points, axis=0), n)


def _bootstrap(paired: pd.DataFrame, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Resample prompts within strata; mean over strata of the mean difference, (R, S) and (S,)."""
    replicates, points = [], []
    for _, rows in paired.groupby(level="stratum"):
        differences = rows.to_numpy()
        count = len(differences)
        weights = rng.multinomial(count, np.full(count, 1.0 / count), size=REPLICATES) / count
        replicates.append(weights @ differences)
        points.append(differences.mean(axis=0))
    return np.mean(replicates, axis=0), np.mean(points, axis=0)


def prompt_values(inputs: Inputs) -> pd.DataFrame:
    """Value of every prompt at the last step that all runs have: equal data, also while some still train.

    Columns: `architecture, seed, family, benchmark, stratum, prompt, value`.

    Images of one prompt belong together; GenEval's score is a mean over tasks, so they are its strata.
    """
    scores = inputs.table("evaluations", "scores.parquet")
    if scores.empty:
        return pd.DataFrame(columns=VALUE_COLUMNS)
    origin = scores.drop_duplicates("artefact")[["artefact", "run", "step", "architecture", "seed"]]
    common = set.intersection(*(set(rows.step) for _, rows in origin.groupby("run")))
    final = origin[origin.step == max(common, default=-1)]
    families = inputs.benchmarks.set_index("benchmark").family
    parts = []
    for row in final.itertuples():
        for path in sorted((inputs.results / str(row.artefact) / "samples").glob("*.parquet")):
            samples = pd.read_parquet(path, columns=["sample_id", "task", "prompt", "value"])
            generated = families[path.stem] == "generation"
            parts.append(
                pd.DataFrame(
                    {
                        "architecture": row.architecture,
                        "seed": row.seed,
                        "family": families[path.stem],
                        "benchmark": path.stem,
                        "stratum": samples.task if generated else "",
                        "prompt": samples.prompt if generated else samples.sample_id,
                        "value": samples.value,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=VALUE_COLUMNS)
