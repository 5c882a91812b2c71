"""Tables 1 and 2: published rows and measured rows in the paper's columns, every number marked as one or the other.

A column of the paper holds this experiment's number only for a benchmark of the same name. Where the experiment
made the questions itself, in the benchmark's layout, the section says so: such numbers compare the rows below each
other, not with the rows above. What other protocols make of the same answers stands in sections of their own.
"""

import math
from collections.abc import Sequence

import pandas as pd

from unix_lib.figures.drawn_table import DASH, Section, TextTable, draw_table, nothing_evaluated, with_error
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.published import PAPER_PROTOCOL, PublishedRow, benchmark_name, published_rows
from unix_lib.figures.samples import blind_answers, blind_notes, final_samples
from unix_lib.figures.scores import (
    final_scores,
    headline_scores,
    measured_scores,
    over_benchmarks,
    over_seeds,
    protocol_name,
)
from unix_lib.figures.style import Drawing, architecture_name, ordered_architectures

COLUMNS = [
    *("origin", "certainty", "model", "benchmark", "metric", "value", "standard_error", "low", "high"),
    *("n", "seeds", "tokens", "local", "unreadable", "only_answer"),
]
MME_NOTE = ", published MME as perception score"


def draw_score_table(
    inputs: Inputs,
    families: Sequence[str],
    *,
    columns: dict[str, str],
    published: Sequence[PublishedRow],
    mean_column: bool,
    title: str,
) -> Drawing:
    """Draw one of the paper's score tables.

    Args:
        families: benchmark families that belong into the table.
        columns: benchmark -> heading, in the paper's order.
        published: the paper's rows, values in that order, plus the mean where `mean_column`.
    """
    keys = [*columns, *(["mean"] if mean_column else [])]
    measured = measured_rows(inputs, families)
    samples = final_samples(inputs)
    blind = blind_answers(samples[samples.family.isin(families)])
    measured = measured.merge(blind[["architecture", "benchmark", "unreadable", "only_answer"]], how="left")
    if mean_column:
        measured = _with_mean(measured, list(columns))
    others = measured_rows(inputs, families, others=True)
    quoted = published_rows(published, keys, "benchmark").assign(local=False)
    shown = [*COLUMNS, *["protocol"] * bool(len(others))]
    # An empty one would make texts of all numbers.
    parts = [quoted, measured, *([others] if len(others) else [])]
    table = pd.concat(parts, ignore_index=True).reindex(columns=shown)
    own = [name for name in measured.benchmark.unique() if name not in keys]
    heading = ["model", *columns.values(), *(["mean"] if mean_column else []), *(benchmark_name(name) for name in own)]
    rows = [[row.marked, *map(_number, row.values), *([DASH] * len(own))] for row in published]
    sections = [Section("published", rows)]
    for local, text in ((False, "measured here"), (True, "measured here, on questions of this experiment's own")):
        lines = _measured_lines(measured[measured.local == local], keys + own)
        if lines:
            sections.append(Section(text, lines))
        for protocol, rows_by_it in others[others.local == local].groupby(others.protocol.map(protocol_name)):
            sections.append(Section(f"{text}, by protocol {protocol}", _measured_lines(rows_by_it, keys + own)))
    if len(sections) == 1:
        sections.append(Section("measured here", nothing_evaluated(len(heading))))
    mme = MME_NOTE if "mme" in columns else ""
    notes = [f"Percent{mme}. (?) second-hand. Measured: value ± standard error at the last checkpoint."]
    if measured.local.any():
        notes.append(
            "Own questions follow the benchmark's layout on this experiment's held-out data, all as percent right: "
            "compare them with each other only."
        )
    if len(others):
        of_several = measured[measured.benchmark.isin(others.benchmark)].protocol.map(protocol_name)
        notes.append(
            f"Where protocols read the same answers, rows without one are by {', '.join(dict.fromkeys(of_several))}. "
            f"Published scores of questions about images are by {PAPER_PROTOCOL}: hold no other's against them."
        )
    notes += blind_notes(blind)
    return Drawing(table, draw_table(TextTable(title, heading, sections, notes=notes)))


def measured_rows(inputs: Inputs, families: Sequence[str], *, others: bool = False) -> pd.DataFrame:
    """This experiment's final scores of some families as tidy rows, percent; see `measured_scores` for `others`."""
    headline = headline_scores(inputs, others=others)
    if headline.empty:
        return pd.DataFrame(columns=[*COLUMNS, "architecture", "protocol"])
    scores = final_scores(headline[headline.family.isin(families)])
    table = _over_seeds(scores, others)
    for name in ("value", "standard_error", "low", "high"):
        table[name] *= 100.0
    perception = _perception(inputs, table, others)
    if len(perception):
        table = pd.concat([table.drop(perception.index), perception]).sort_index()
    return table.assign(origin="measured", certainty="measured", model=table.architecture.map(architecture_name))


def _over_seeds(scores: pd.DataFrame, others: bool, bounds: tuple[float, float] = (0.0, 1.0)) -> pd.DataFrame:
    table = over_seeds(scores, ["architecture", "benchmark", "metric", "local", *["protocol"] * others], bounds)
    if not others:
        table = table.merge(scores.groupby(["architecture", "benchmark"]).protocol.first().reset_index())
    return table.assign(tokens=table.architecture.map(scores.groupby("architecture").tokens.max()))


def _perception(inputs: Inputs, table: pd.DataFrame, others: bool) -> pd.DataFrame:
    """MME's own rows on its published file, where the paper gives the perception score and not a share."""
    rows = table[(table.benchmark == "mme") & ~table.local]
    if rows.empty:
        return rows
    scores = measured_scores(inputs, others=others)
    scores = final_scores(scores[(scores.benchmark == "mme") & (scores.metric == "perception")])
    found = _over_seeds(scores.assign(local=False), others, (0.0, math.inf))
    return rows[["architecture", "protocol"]].merge(found, how="left").set_index(rows.index)


def _with_mean(measured: pd.DataFrame, needed: list[str]) -> pd.DataFrame:
    """Add the mean over the paper's benchmarks for models that have all of them."""
    means = []
    for _, rows in measured.groupby("architecture", sort=False):
        own = rows[rows.benchmark.isin(needed)]
        if own.benchmark.nunique() == len(needed):
            mean = over_benchmarks(own, ["origin", "certainty", "model", "architecture"])
            means.append(
                mean.assign(
                    benchmark="mean", metric="mean", seeds=own.seeds.min(), tokens=own.tokens.max(), local=False
                )
            )
    return pd.concat([measured, *means], ignore_index=True)


def _measured_lines(table: pd.DataFrame, keys: list[str]) -> list[list[str]]:
    lines = []
    for name in ordered_architectures(table.architecture):
        rows = table[table.architecture == name].set_index("benchmark")
        cells = [with_error(rows.value[key], rows.standard_error[key]) if key in rows.index else DASH for key in keys]
        lines.append([architecture_name(name), *cells])
    return lines


def _number(value: float | None) -> str:
    return DASH if value is None else f"{value:.1f}"
