"""Table 3 of the paper: architectures at equal data, by the mean of text, generation and understanding.

The paper's cells other than the means are not known; its means are of MMLU, GenEval and MMBench.
"""

import pandas as pd

from unix_lib.artefacts.manifest import read_manifest
from unix_lib.config.figures import DrawnFigure
from unix_lib.figures.drawn_table import Section, TextTable, draw_table
from unix_lib.figures.family_means import FAMILIES, family_means
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.published import ARCHITECTURE_ROWS, SECOND_HAND
from unix_lib.figures.style import Drawing, architecture_name, ordered_architectures

DASH = "–"
COLUMNS = [
    *("origin", "certainty", "model", "family", "value", "standard_error", "low", "high", "n", "seeds", "tokens"),
    *("parameters_text", "parameters_vision", "parameters_total"),
]
HEADING = ["architecture", *FAMILIES, "mean", "tokens (M)", "parameters (M)\nactive text / vision / total"]


def draw(inputs: Inputs, settings: DrawnFigure) -> Drawing:
    """Draw the table."""
    means = family_means(inputs)
    sizes = _sizes(inputs)
    published = pd.DataFrame(
        [
            {
                "origin": "published",
                "certainty": row.certainty,
                "model": row.model,
                "family": "mean",
                "value": row.values[0],
            }
            for row in ARCHITECTURE_ROWS
        ]
    )
    measured = means.assign(
        origin="measured", certainty="measured", model=means.architecture.map(architecture_name)
    ).merge(sizes, on="architecture", how="left")
    for name in ("value", "standard_error", "low", "high"):
        measured[name] = 100.0 * measured[name]
    table = pd.concat([published, measured], ignore_index=True).reindex(columns=COLUMNS)
    rows = [
        [
            row.model + (" (?)" if row.certainty == SECOND_HAND else ""),
            *([DASH] * len(FAMILIES)),
            f"{row.values[0]:.1f}",
            DASH,
            DASH,
        ]
        for row in ARCHITECTURE_ROWS
    ]
    lines = [_line(name, measured) for name in ordered_architectures(measured.architecture)]
    seeds = int(measured.seeds.max()) if len(measured) else 0
    sections = [
        Section("published: mean of MMLU, GenEval and MMBench", rows),
        Section(
            f"measured here: families of benchmarks, {seeds} seed{'s' * (seeds != 1)}",
            lines or [["nothing evaluated yet", *([DASH] * (len(HEADING) - 1))]],
        ),
    ]
    notes = ["Percent, value ± standard error. (?) second-hand. Own and published means are of different questions."]
    return Drawing(table, draw_table(TextTable("Table 3: architectures at equal data", HEADING, sections, notes=notes)))


def _sizes(inputs: Inputs) -> pd.DataFrame:
    """Parameters per architecture, from the last checkpoints' manifests."""
    names = ["architecture", "parameters_text", "parameters_vision", "parameters_total"]
    facts = [read_manifest(folder).facts for folder in inputs.folders("checkpoints")]
    return pd.DataFrame([{name: fact.get(name) for name in names} for fact in facts], columns=names).drop_duplicates(
        "architecture", keep="last"
    )


def _line(name: str, measured: pd.DataFrame) -> list[str]:
    rows = measured[measured.architecture == name].set_index("family")
    first = rows.iloc[0]
    cells = [
        f"{rows.value[key]:.1f} ± {rows.standard_error[key]:.1f}" if key in rows.index else DASH
        for key in (*FAMILIES, "mean")
    ]
    sizes = [first[f"parameters_{part}"] for part in ("text", "vision", "total")]
    return [
        architecture_name(name),
        *cells,
        f"{first.tokens / 1e6:.2f}",
        " / ".join(DASH if pd.isna(size) else f"{size / 1e6:.2f}" for size in sizes),
    ]
