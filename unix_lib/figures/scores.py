"""Scores as figures and tables need them: one headline metric per benchmark, means over seeds, families.

What flows in: `scores.parquet` of the evaluations. What flows out: tidy tables with an interval on every score.
"""

import pandas as pd

from unix_lib.figures.inputs import Inputs

# The metric that stands for a benchmark, first that it has.
HEADLINE_METRICS = ("overall", "accuracy", "acc", "acc_norm")
Z_95 = 1.959964


def headline_scores(inputs: Inputs, role: str = "evaluations") -> pd.DataFrame:
    """`scores.parquet` of all evaluations, headline metric only, with `family` and `local` of each benchmark."""
    scores = inputs.table(role, "scores.parquet")
    if scores.empty:
        return scores
    ranked = scores[scores.metric.isin(HEADLINE_METRICS)].copy()
    ranked["rank"] = ranked.metric.map(HEADLINE_METRICS.index)
    best = ranked.groupby("benchmark")["rank"].transform("min")
    headline = ranked[ranked["rank"] == best].drop(columns="rank")
    return headline.merge(inputs.benchmarks, on="benchmark", how="left")


def final_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores of each run's last evaluated step."""
    return scores[scores.step == scores.groupby("run").step.transform("max")] if len(scores) else scores


def over_seeds(scores: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """One row per `keys`: mean over seeds, with standard error, 95% interval, `n` samples and `seeds`.

    The variance is that of the prompts, which seeds share, plus that of the mean over seeds.
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
    several = table.seeds > 1
    error = (table.prompts**2 + (table.spread**2 / table.seeds).fillna(0.0)) ** 0.5
    table["standard_error"] = error
    table.loc[several, "low"] = table.value - Z_95 * error
    table.loc[several, "high"] = table.value + Z_95 * error
    return table.drop(columns=["prompts", "spread"])
