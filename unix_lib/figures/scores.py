"""Scores as figures and tables need them: one headline metric per benchmark, at equal data, means over seeds.

Intervals are combined by their distances from the value, below and above apart, added in quadrature (Zou and Donner
2008): a score of 0 keeps the interval [0, 0.14] that its few samples leave it, which a standard error of 0 would lose.
"""

import numpy as np
import pandas as pd
from scipy import special

from unix_lib.artefacts.manifest import read_manifest
from unix_lib.evaluate.intervals import Z_95
from unix_lib.figures.inputs import Inputs

# The metric that stands for a benchmark, first that it has.
HEADLINE_METRICS = ("overall", "accuracy", "acc", "acc_norm")


def measured_scores(inputs: Inputs, *, others: bool = False) -> pd.DataFrame:
    """`scores.parquet` of all evaluations; where several protocols scored the same answers, by the first, or `others`.

    Where all samples are alike, all right or all wrong, their standard error is 0; in its place stands that of a normal
    interval as wide as the score's own, which says what so few samples leave possible.
    """
    scores = inputs.table("evaluations", "scores.parquet")
    if scores.empty:
        return scores
    several = scores.groupby(["artefact", "benchmark"]).protocol.transform("nunique") > 1
    first = {
        (artefact, name): facts["protocol"]
        for artefact in scores[several].artefact.unique()
        for name, facts in read_manifest(inputs.results / artefact).facts["benchmarks"].items()
    }
    by_first = [row.protocol == first.get((row.artefact, row.benchmark), row.protocol) for row in scores.itertuples()]
    scores = scores[np.array(by_first) != others]
    as_wide = (scores.high - scores.low) / (2 * Z_95)
    return scores.assign(standard_error=scores.standard_error.mask(scores.standard_error == 0, as_wide))


def protocol_name(protocol: str) -> str:
    """What tells a protocol from the others that read the same answers: 'mme, greedy answers, paper' -> 'paper'."""
    return protocol.rpartition(", ")[2]


def headline_scores(inputs: Inputs, *, others: bool = False) -> pd.DataFrame:
    """`measured_scores`, headline metric only, with `family`, `local` and `by_task` of each benchmark."""
    scores = measured_scores(inputs, others=others)
    if scores.empty:
        return scores
    ranked = scores[scores.metric.isin(HEADLINE_METRICS)].copy()
    ranked["rank"] = ranked.metric.map(HEADLINE_METRICS.index)
    best = ranked.groupby(["benchmark", "protocol"] if others else "benchmark")["rank"].transform("min")
    headline = ranked[ranked["rank"] == best].drop(columns="rank")
    return headline.merge(inputs.benchmarks, on="benchmark", how="left")


def final_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores at the last step that all runs have: equal data, also while some still train.

    Where the runs share no step, each run's own last one: then nothing here compares, and `tokens` says so.
    """
    if scores.empty:
        return scores
    common = set.intersection(*(set(rows.step) for _, rows in scores.groupby(["run", "benchmark"])))
    if common:
        return scores[scores.step == max(common)]
    return scores[scores.step == scores.groupby("run").step.transform("max")]


def over_seeds(scores: pd.DataFrame, keys: list[str], bounds: tuple[float, float] = (0.0, 1.0)) -> pd.DataFrame:
    """One row per `keys`: mean over seeds, with standard error, 95% interval, `n` samples and `seeds`.

    The uncertainty is that of the prompts, which seeds share, so that more seeds don't lower it, and that of the mean
    over seeds, by Student's t with as many degrees of freedom as there are seeds beyond the first.

    Scores have `value, standard_error, low, high, n`; intervals are cut at `bounds`.
    """
    grouped = scores.groupby(keys, sort=False)
    table = grouped.agg(
        value=("value", "mean"),
        prompts=("standard_error", "mean"),
        spread=("value", "std"),
        n=("n", "max"),
        seeds=("value", "size"),
        low=("low", "mean"),
        high=("high", "mean"),
    ).reset_index()
    of_seeds = (table.spread / table.seeds**0.5).fillna(0.0)
    table["standard_error"] = (table.prompts**2 + of_seeds**2) ** 0.5
    tail = np.where(table.seeds > 1, special.stdtrit(np.maximum(table.seeds - 1, 1), 0.975), 0.0)
    below, above = ((side**2 + (tail * of_seeds) ** 2) ** 0.5 for side in sides(table))
    table["low"], table["high"] = (table.value - below).clip(*bounds), (table.value + above).clip(*bounds)
    return table.drop(columns=["prompts", "spread"])


def over_benchmarks(scores: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """One row per `keys`: the mean of independent scores, with standard error, 95% interval and `n` samples in all."""
    below, above = sides(scores)
    squares = scores.assign(error=scores.standard_error**2, below=below**2, above=above**2)
    table = (
        squares.groupby(keys, sort=False)
        .agg(
            value=("value", "mean"),
            error=("error", "sum"),
            below=("below", "sum"),
            above=("above", "sum"),
            count=("value", "size"),
            n=("n", "sum"),
        )
        .reset_index()
    )
    error, below, above = (table[name] ** 0.5 / table["count"] for name in ("error", "below", "above"))
    table = table.assign(standard_error=error, low=table.value - below, high=table.value + above)
    return table.drop(columns=["error", "below", "above", "count"])


def sides(scores: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """How far the interval reaches below and above the value."""
    return (scores.value - scores.low).clip(lower=0), (scores.high - scores.value).clip(lower=0)
