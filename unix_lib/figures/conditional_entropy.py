"""Figure "conditional entropy": how hard the next token is to tell from the n-1 before it, for text and image codes.

Three panels: the published values, this experiment's at one token budget, and how far the estimates still move with
the sample. A hollow point marks an order of whose n-grams less than 80% (Good-Turing) was seen: there the number
says more about the sample than about the source.
"""

from itertools import cycle

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from scipy import special

from unix_lib.analyze.entropy import error_freedom
from unix_lib.config.figures import DrawnFigure
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.published import published_entropy
from unix_lib.figures.style import IMAGE_COLORS, TEXT_COLORS, Drawing, empty_axes

CURVE_ORDER = 3  # the largest order that any of our samples resolves
# ASSUME: below this coverage the estimates still rise with the sample (panel c shows it), so they decide nothing.
LEAST_COVERAGE = 0.8
MARKERS = ("o", "s", "^", "D")
ESTIMATES = ("plug_in", "corrected")
COLUMNS = [  # `order` is the n of the n-grams, `n` the tokens behind an estimate
    *("origin", "source", "modality", "order", "estimate", "value", "standard_error", "low", "high"),
    *("n", "sequences", "coverage", "budget"),
]


def draw(inputs: Inputs, settings: DrawnFigure) -> Drawing:
    """Draw the figure; without an entropy table only the published panel is filled."""
    measured = _one_estimate_a_row(measured_entropy(inputs))
    published = published_entropy().assign(origin="published", estimate="plug_in", budget=True)
    table = pd.concat([published, measured], ignore_index=True)
    figure, panels = plt.subplots(1, 3, figsize=(9.6, 3.5), layout="constrained")
    _over_orders(panels[0], published, "a  Published (paper, Fig. 2)")
    if measured.empty:
        for panel in panels[1:]:
            empty_axes(panel, "entropy not measured yet")
    else:
        at_budget = measured[measured.budget]
        budget = int(at_budget.n.iloc[0])
        _over_orders(panels[1], at_budget, f"b  Measured, {budget:,} tokens each")
        _over_sizes(panels[2], measured[measured.order == CURVE_ORDER])
        panels[1].sharey(panels[0])
    panels[0].set_ylabel("conditional entropy $H_n$ (bits)")
    panels[0].set_ylim(bottom=0)
    return Drawing(table.reindex(columns=COLUMNS), figure)


def measured_entropy(inputs: Inputs) -> pd.DataFrame:
    """`entropy.parquet`; an error of 0, which groups of sequences that are all alike have, is one that is not known."""
    table = inputs.table("entropy", "entropy.parquet")
    errors = [f"{estimate}_standard_error" for estimate in ESTIMATES if len(table)]
    return table.assign(**{name: table[name].where(table[name] > 0) for name in errors})


def _one_estimate_a_row(table: pd.DataFrame) -> pd.DataFrame:
    if table.empty:
        return table
    parts = []
    for estimate in ESTIMATES:
        error = table[f"{estimate}_standard_error"]
        margin = special.stdtrit(table.sequences.map(error_freedom), 0.975) * error
        parts.append(
            table[["source", "modality", "sequences", "coverage", "budget"]].assign(
                origin="measured",
                order=table["n"],
                estimate=estimate,
                value=table[estimate],
                standard_error=error,
                low=table[estimate] - margin,
                high=table[estimate] + margin,
                n=table["tokens"],
            )
        )
    return pd.concat(parts, ignore_index=True)


def source_colors(table: pd.DataFrame) -> dict[str, str]:
    """Text sources in shades of indigo, image sources in shades of amber."""
    colors: dict[str, str] = {}
    for modality, shades in (("text", TEXT_COLORS), ("image", IMAGE_COLORS)):
        colors |= dict(zip(table[table.modality == modality].source.unique(), cycle(shades), strict=False))
    return colors


def _label(source: str, modality: str) -> str:
    return source if source.lower().startswith("image") or source[:1].isupper() else f"{source} ({modality})"


def _over_orders(axes: Axes, table: pd.DataFrame, title: str) -> None:
    colors = source_colors(table)
    for position, ((source, modality), rows) in enumerate(table.groupby(["source", "modality"], sort=False)):
        color, marker = colors[source], MARKERS[position % len(MARKERS)]
        main = rows[rows.estimate == "corrected"] if (rows.estimate == "corrected").any() else rows
        axes.plot(main.order, main.value, color=color, label=_label(str(source), str(modality)))
        if "low" in rows:
            axes.vlines(main.order, main.low, main.high, color=color, linewidth=1)
        hollow = main.coverage < LEAST_COVERAGE if "coverage" in rows else pd.Series(False, index=main.index)
        for chosen, face in ((~hollow, color), (hollow, "white")):
            axes.plot(
                main.order[chosen], main.value[chosen], marker, color=color, markerfacecolor=face, linestyle="none"
            )
        if main is not rows:
            plug_in = rows[rows.estimate == "plug_in"]
            axes.plot(plug_in.order, plug_in.value, color=color, linestyle=":", linewidth=1.0)
    axes.set_title(title)
    axes.set_xlabel("n-gram order $n$")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles, labels = axes.get_legend_handles_labels()
    if (table.estimate == "corrected").any():
        handles.append(Line2D([], [], color="0.4", linestyle=":", linewidth=1.0))
        labels.append("plug-in estimate")
        handles.append(Line2D([], [], color="0.4", marker="o", markerfacecolor="white", linestyle="none"))
        labels.append(f"under {LEAST_COVERAGE:.0%} of the n-grams seen")
    axes.legend(handles, labels, loc="upper right")


def _over_sizes(axes: Axes, table: pd.DataFrame) -> None:
    colors = source_colors(table)
    for position, (source, rows) in enumerate(table.groupby("source", sort=False)):
        for estimate, line in (("corrected", "-"), ("plug_in", ":")):
            part = rows[rows.estimate == estimate].sort_values("n")
            axes.plot(
                part.n,
                part.value,
                line,
                color=colors[str(source)],
                marker=MARKERS[position % len(MARKERS)] if estimate == "corrected" else None,
                linewidth=1.5 if estimate == "corrected" else 1.0,
            )
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("tokens per source")
    axes.set_ylabel(f"$H_{CURVE_ORDER}$ (bits)")
    axes.set_title(f"c  Sample size, n = {CURVE_ORDER}")
