"""Table 3 of the paper: architectures at equal data, by the mean of text, generation and understanding.

The paper's cells other than the means are not known; its means are of MMLU, GenEval and MMBench.
"""

import pandas as pd

from unix_lib.artefacts.manifest import read_manifest
from unix_lib.config.figures import DrawnFigure
from unix_lib.figures.drawn_table import DASH, Section, TextTable, draw_table, nothing_evaluated
from unix_lib.figures.family_means import PAPER_MEAN, family_means, left_out_notes, mean_cells, shown_means
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.published import ARCHITECTURE_ROWS, published_rows
from unix_lib.figures.samples import blind_answers, blind_notes, final_samples
from unix_lib.figures.style import Drawing, architecture_name, ordered_architectures

COLUMNS = [
    *("origin", "certainty", "model", "family", "value", "standard_error", "low", "high", "n", "seeds", "tokens"),
    *("parameters_text", "parameters_vision", "parameters_total"),
]
SIZES = ["tokens (M)", "parameters (M)\nactive text / vision / total"]


def draw(inputs: Inputs, settings: DrawnFigure) -> Drawing:
    """Draw the table."""
    measured = family_means(inputs).merge(_sizes(inputs), on="architecture", how="left")
    published = published_rows(ARCHITECTURE_ROWS, ["mean"], "family")
    table = pd.concat([published, measured], ignore_index=True).reindex(columns=COLUMNS)
    shown = shown_means(measured)
    heading = ["architecture", *shown, *SIZES]
    published_in = PAPER_MEAN if PAPER_MEAN in shown else "mean"
    rows = [
        [row.marked, *(f"{row.values[0]:.1f}" if name == published_in else DASH for name in shown), DASH, DASH]
        for row in ARCHITECTURE_ROWS
    ]
    lines = [_line(name, measured, shown) for name in ordered_architectures(measured.architecture)]
    seeds = int(measured.seeds.max()) if len(measured) else 0
    sections = [
        Section("published: mean of MMLU, GenEval and MMBench", rows),
        Section(
            f"measured here: families of benchmarks, {seeds} seed{'s' * (seeds != 1)}",
            lines or nothing_evaluated(len(heading)),
        ),
    ]
    notes = ["Percent, value ± standard error. (?) second-hand. Own and published means are of different questions."]
    notes += left_out_notes(inputs)
    notes += blind_notes(blind_answers(final_samples(inputs)))
    return Drawing(table, draw_table(TextTable("Table 3: architectures at equal data", heading, sections, notes=notes)))


def _sizes(inputs: Inputs) -> pd.DataFrame:
    """Parameters per architecture, from the last checkpoints' manifests."""
    names = ["architecture", "parameters_text", "parameters_vision", "parameters_total"]
    facts = [read_manifest(folder).facts for folder in inputs.folders("checkpoints")]
    return pd.DataFrame([{name: fact.get(name) for name in names} for fact in facts], columns=names).drop_duplicates(
        "architecture", keep="last"
    )


def _line(name: str, measured: pd.DataFrame, shown: list[str]) -> list[str]:
    first = measured[measured.architecture == name].iloc[0]
    sizes = [first[f"parameters_{part}"] for part in ("text", "vision", "total")]
    return [
        architecture_name(name),
        *mean_cells(measured, name, shown),
        f"{first.tokens / 1e6:.2f}",
        " / ".join(DASH if pd.isna(size) else f"{size / 1e6:.2f}" for size in sizes),
    ]
