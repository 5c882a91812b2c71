"""Figure "text cost": tokens per character of each source's held-out texts, by script."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.layout_engine import ConstrainedLayoutEngine

from unix_lib.config.figures import DrawnFigure
from unix_lib.evaluate.intervals import Z_95
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.style import GREY, TEXT_COLORS, Drawing, nothing_yet

COSTLY_COLOR = "#C0392B"
LEAST_WIDTH = 1.0  # of the axis, tokens per character
LABEL_PAD = 0.15  # inches; by default the longest label is cut

COLUMNS = [
    *("origin", "source", "script", "split", "tokens_per_character", "standard_error", "low", "high"),
    *("n", "characters", "tokens", "learned_from", "warning"),
]


def draw(inputs: Inputs, settings: DrawnFigure) -> Drawing:
    """Draw a bar for each source and script."""
    measured = inputs.table("text_cost", "text_cost.parquet")
    if measured.empty:
        return Drawing(pd.DataFrame(columns=COLUMNS), nothing_yet("no source has texts"))
    margin = Z_95 * measured.standard_error.astype(float)
    table = measured.assign(
        origin="measured",
        low=measured.tokens_per_character - margin,
        high=measured.tokens_per_character + margin,
        n=measured.texts,
        warning=[warning_of(row) for row in measured.to_dict("records")],
    )
    places = range(len(table))
    figure, axes = plt.subplots(figsize=(7.0, 0.9 + 0.26 * len(table)), layout=ConstrainedLayoutEngine(w_pad=LABEL_PAD))
    colors = [COSTLY_COLOR if warning else TEXT_COLORS[1] for warning in table.warning]
    axes.barh(places, table.tokens_per_character, height=0.62, color=colors, xerr=margin.fillna(0), ecolor=GREY)
    for place, row in zip(places, table.itertuples(), strict=True):
        label = f" {row.tokens_per_character:.2f}"
        axes.text(max(row.tokens_per_character, row.high if row.high > 0 else 0), place, label, va="center", fontsize=7)
    axes.set_yticks(places, [f"{row.source}, {row.script} ({row.n:,})" for row in table.itertuples()])
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.set_xlim(0, max(LEAST_WIDTH, 1.12 * table[["tokens_per_character", "high"]].max().max()))
    axes.grid(visible=False, axis="y")
    axes.set(xlabel="tokens per character; 95% intervals over texts, whose number is in brackets")
    return Drawing(table[COLUMNS], figure)


def warning_of(row: dict[str, object]) -> str:
    """What to do about a script that is spelled out; "" where there is nothing to do."""
    if not row["costly"] or row["learned_from"] is None:
        return ""
    if row["learned_from"]:
        return "costly, although the text tokenizer learned from it: raise tokenizers.text.vocabulary_size"
    return "costly, and the text tokenizer did not learn from it: add it to tokenizers.text.sources"
