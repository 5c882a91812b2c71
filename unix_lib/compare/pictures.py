"""Pictures of a comparison: differences with their intervals, and both sides' conflict over depth."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.layout_engine import ConstrainedLayoutEngine

from unix_lib.figures.style import (
    GREY,
    Drawing,
    architecture_colors,
    architecture_name,
    marker_of,
    nothing_yet,
    ordered_architectures,
)

ROW_INCHES, MOST_ROWS = 0.16, 60
LABEL_ROOM_INCHES = 0.2
STYLES = {"a": "--", "b": "-"}


def draw_differences(table: pd.DataFrame, rows: pd.DataFrame, label: list[str], quantity: str) -> Drawing:
    """The picture of some rows of a table, a line each, named by the columns `label`; no more than fit on a page."""
    if rows.empty:
        return Drawing(table, nothing_yet("nothing that both have"))
    shown = rows.head(MOST_ROWS).iloc[::-1].reset_index(drop=True)
    layout = ConstrainedLayoutEngine(w_pad=LABEL_ROOM_INCHES)
    figure, axes = plt.subplots(figsize=(7.5, 1.2 + ROW_INCHES * len(shown)), layout=layout)
    by_architecture = "architecture" in shown
    colors = architecture_colors(ordered_architectures(shown.architecture)) if by_architecture else {}
    for place, row in shown.iterrows():
        color = colors.get(row.architecture, GREY) if by_architecture else GREY
        axes.plot([row.low, row.high], [place, place], color=color, linewidth=1.2)
        axes.plot(row.difference, place, marker_of(row.architecture) if by_architecture else "o", color=color)
    axes.axvline(0, color="0.3", linewidth=0.8)
    axes.set_yticks(range(len(shown)), [", ".join(_word(row[name]) for name in label) for _, row in shown.iterrows()])
    axes.set_xlabel(f"{quantity}, B - A, with 95% intervals")
    axes.set_ylim(-0.7, len(shown) - 0.3)
    return Drawing(table, figure)


def draw_conflict(table: pd.DataFrame) -> Drawing:
    """Both sides over depth, the mean of all projections; a band is the 95% interval of the difference around B."""
    mean = table[table.projection == "mean"] if len(table) else table
    if mean.empty:
        return Drawing(table, nothing_yet("no conflict that both have"))
    figure, axes = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
    names = ordered_architectures(mean.architecture)
    colors = architecture_colors(names)
    for name in names:
        rows = mean[mean.architecture == name].sort_values("layer")
        for side, line in STYLES.items():
            label = f"{architecture_name(name)}, {side.upper()}"
            axes.plot(rows.layer, rows[side], line, color=colors[name], marker=marker_of(name), label=label)
        axes.fill_between(
            rows.layer, rows.a + rows.low, rows.a + rows.high, color=colors[name], alpha=0.15, linewidth=0
        )
    axes.set(xlabel="layer", ylabel="gradient conflict $c$, mean of all projections")
    axes.legend()
    return Drawing(table, figure)


def _word(value: object) -> str:
    return architecture_name(value) if isinstance(value, str) else f"{value:g}"
