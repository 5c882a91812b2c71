"""Differences B - A with 95% intervals.

Scores of the same samples are paired, sample by sample and seed by seed, so that what is hard for both adds no width.
Everything else is held against each other as two independent estimates, whose intervals are combined by their distances
from the values (`unix_lib.figures.scores`); measured on the same documents that is rather too wide. One and the same
artefact has no difference. Column `paired` says which of these a row is.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from unix_lib.compare.side import Side
from unix_lib.evaluate.intervals import Z_95, bootstrap, margin_of_mean, mean_of_strata
from unix_lib.figures.samples import prompt_values, samples_of_scores
from unix_lib.figures.scores import over_seeds, sides

RESAMPLES = 1000
SCORES = [
    *("architecture", "step_a", "step_b", "benchmark", "metric", "a", "b", "difference", "low", "high"),
    *("n", "seeds", "paired"),
]
SAME = ("metric", "protocol", "judge")  # without which two scores say different things


def score_differences(a: Side, b: Side) -> tuple[pd.DataFrame, list[str]]:
    """Rows of `SCORES` for every pair of checkpoints, and what could not be compared, a line each."""
    found, notes = [], []
    for side in (a, b):
        if side.scores.empty:
            notes.append(f"{side.name}: no scores")
    if a.scores.empty or b.scores.empty:
        return pd.DataFrame(columns=SCORES), notes
    for name, of_a, of_b in _both(a, b, "architecture", notes):
        for step_a, step_b in paired_steps(of_a.step, of_b.step):
            at = (of_a[of_a.step == step_a], of_b[of_b.step == step_b])
            for benchmark in sorted(set(at[0].benchmark) | set(at[1].benchmark)):
                one, other = (rows[rows.benchmark == benchmark] for rows in at)
                fault = _not_alike(one, other)
                if fault is not None:
                    notes.append(f"{name}, {benchmark}: {fault}")
                    continue
                known = {"architecture": name, "step_a": step_a, "step_b": step_b, "benchmark": benchmark}
                found.append(known | {"metric": one.metric.iloc[0]} | _difference(a, one, b, other))
    return pd.DataFrame(found, columns=SCORES), list(dict.fromkeys(notes))


def paired_steps(of_a: "pd.Series[int]", of_b: "pd.Series[int]") -> list[tuple[int, int]]:
    """Steps that both have, and the last of each where these differ."""
    common = sorted(set(of_a) & set(of_b))
    last = (int(of_a.max()), int(of_b.max()))
    return [(int(step), int(step)) for step in common] + [last] * (last[0] != last[1])


def table_differences(a: Side, b: Side, figure: str, keys: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """Rows of a figure's table that both have, as independent estimates: `keys, a, b, difference, low, high`.

    A table with a `step` has a row per pair of checkpoints. Losses of other targets (`n`) are left out and said.
    """
    columns, notes = [*keys, "a", "b", "difference", "low", "high"], []
    tables = []
    for side in (a, b):
        table = _with_interval(side.table(figure))
        absent = [key for key in keys if key not in table]
        if absent or table.empty:
            notes.append(f"{side.name}: no table {figure}" + (f" with {', '.join(absent)}" if len(table) else ""))
        tables.append(table)
    if notes:
        return pd.DataFrame(columns=columns), notes
    merged = tables[0].merge(tables[1], on=keys, suffixes=("_a", "_b")).dropna(subset=["value_a", "value_b"])
    if "documents_a" in merged:
        other = merged.n_a != merged.n_b
        notes += [f"{figure}: {other.sum()} rows are of other targets, and don't compare"] * bool(other.any())
        merged = merged[~other]
    if merged.empty:
        notes.append(f"{figure}: no row that both have by {', '.join(keys)}")
    return merged.assign(a=merged.value_a, b=merged.value_b, **_independent(merged))[columns], notes


def claim_table(a: Side, b: Side) -> tuple[pd.DataFrame, list[str]]:
    """Verdicts of both, with what they rest on."""
    columns, keys = ["verdict", "difference", "low", "high"], ["claim", "part"]
    tables = {side.name: side.table("claims") for side in (a, b)}
    notes = [f"{name}: no table claims" for name, table in tables.items() if table.empty]
    if notes:
        return pd.DataFrame(columns=[*keys, "verdict_a", "verdict_b"]), notes
    one, other = (table.reindex(columns=[*keys, *columns]) for table in tables.values())
    return one.merge(other, on=keys, how="outer", suffixes=("_a", "_b")), []


def _both(a: Side, b: Side, column: str, notes: list[str]) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame]]:
    groups = [dict(tuple(side.scores.groupby(column, sort=False))) for side in (a, b)]
    for name in dict.fromkeys([*groups[0], *groups[1]]):
        if all(name in group for group in groups):
            yield name, groups[0][name], groups[1][name]
        else:
            notes.append(f"{name}: only in {(a if name in groups[0] else b).name}")


def _not_alike(one: pd.DataFrame, other: pd.DataFrame) -> str | None:
    if one.empty or other.empty:
        return f"only in {'B' if one.empty else 'A'}"
    for column in SAME:
        if column in one and column in other and set(one[column]) != set(other[column]):
            return f"another {column}, which does not compare"
    return None


def _difference(a: Side, one: pd.DataFrame, b: Side, other: pd.DataFrame) -> dict[str, object]:
    """Values, difference and interval of one benchmark at a pair of checkpoints; none of the same artefacts."""
    if "artefact" in one and "artefact" in other and set(one.artefact) == set(other.artefact):
        value, known = one.value.mean(), {"n": one.n.iloc[0], "seeds": len(one), "paired": "same"}
        return known | {"a": value, "b": value, "difference": 0.0, "low": 0.0, "high": 0.0}
    seeds = sorted(set(one.seed) & set(other.seed)) if "seed" in one and "seed" in other else []
    if seeds:
        one, other = one[one.seed.isin(seeds)], other[other.seed.isin(seeds)]
        prompts = [_prompts(side, rows) for side, rows in ((a, one), (b, other))]
        if len(prompts[0]) and prompts[0].index.equals(prompts[1].index):
            by_seed = [rows.groupby("seed").value.mean() for rows in (one, other)]
            return _paired(*prompts, *by_seed)
    table = pd.concat([_one_row(one).add_suffix("_a"), _one_row(other).add_suffix("_b")], axis=1)
    found = {name: float(values.iloc[0]) for name, values in _independent(table).items()}
    known = {"a": table.value_a.iloc[0], "b": table.value_b.iloc[0], "n": min(table.n_a.iloc[0], table.n_b.iloc[0])}
    return found | known | {"seeds": min(table.seeds_a.iloc[0], table.seeds_b.iloc[0]), "paired": ""}


def _prompts(side: Side, scores: pd.DataFrame) -> pd.DataFrame:
    """Value of each prompt (row, by stratum) in each seed (column)."""
    values = prompt_values(samples_of_scores(side.evaluations, scores))
    return values.pivot_table(index=["stratum", "prompt"], columns="seed", values="value")


def _paired(one: pd.DataFrame, other: pd.DataFrame, of_a: pd.Series, of_b: pd.Series) -> dict[str, object]:
    """The difference of scores by seed, with the spread over prompts, which seeds share, and over seeds."""
    by_prompt = (other - one).mean(axis=1)
    strata = by_prompt.index.get_level_values("stratum").to_numpy()
    spread = bootstrap(
        mean_of_strata(by_prompt.to_numpy(), strata),
        np.arange(len(by_prompt)),
        strata=strata,
        samples=RESAMPLES,
        span=1.0,
    )
    by_seed = of_b - of_a
    seeds, value = len(by_seed), float(by_seed.mean())
    of_seeds = margin_of_mean(by_seed.to_numpy()) if seeds > 1 else 0.0
    below, above = (np.hypot(side, of_seeds) for side in (spread.value - spread.low, spread.high - spread.value))
    known = {"a": float(of_a.mean()), "b": float(of_b.mean()), "difference": value}
    known |= {"low": value - below, "high": value + above}
    return known | {"n": len(by_prompt), "seeds": seeds, "paired": "samples"}


def _one_row(scores: pd.DataFrame) -> pd.DataFrame:
    """The mean over seeds, where they are known; else the row of the figure's table, which has it."""
    return scores.reset_index(drop=True) if "seeds" in scores else over_seeds(scores, ["benchmark"])


def _with_interval(table: pd.DataFrame) -> pd.DataFrame:
    """Rows with an interval; a standard deviation over splits stands for the error where a table has that instead."""
    if "budget" in table:  # of entropies the rows of the common number of tokens
        table = table[table.budget.astype(bool)]
    if "standard_deviation" in table:
        half = Z_95 * table.standard_deviation
        return table.assign(low=table.value - half, high=table.value + half)
    return table


def _independent(table: pd.DataFrame) -> dict[str, pd.Series]:
    """Difference and interval of `value_a, low_a, high_a` and the same of b."""
    (below_a, above_a), (below_b, above_b) = (
        sides(table[[f"{name}_{side}" for name in ("value", "low", "high")]].rename(columns=lambda name: name[:-2]))
        for side in "ab"
    )
    value = table.value_b - table.value_a
    return {"difference": value, "low": value - np.hypot(below_b, above_a), "high": value + np.hypot(above_b, below_a)}
