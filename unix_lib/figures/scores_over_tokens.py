"""Figure "scores over training tokens": a panel per benchmark and protocol, a line per architecture with 95% intervals.

The dotted line is a blind guesser, the dashed one the same images scored against other prompts (a mean of the tasks
that have prompts for different things), the dash-dotted one the ceiling: the score of perfect images that passed
through the image tokenizer.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from unix_lib.config.figures import DrawnFigure
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.published import benchmark_name
from unix_lib.figures.scores import headline_scores, over_seeds, protocol_name, sides
from unix_lib.figures.style import (
    GREY,
    Drawing,
    architecture_colors,
    architecture_name,
    marker_of,
    nothing_yet,
    ordered_architectures,
)

PANELS_PER_ROW = 3
DODGE = 0.012  # of the x range, so that intervals of different architectures stand side by side
FAMILY_ORDER = ["generation", "understanding", "text"]
CEILING_METRIC = "overall_ceiling"
CONTROL_METRIC = "overall_shuffled"  # the same images scored against other prompts
COLUMNS = [
    *("origin", "family", "benchmark", "metric", "architecture", "step", "tokens", "value", "standard_error"),
    *("low", "high", "n", "seeds", "chance", "control", "ceiling"),
]


def draw(inputs: Inputs, settings: DrawnFigure) -> Drawing:
    """Draw the figure."""
    scores = headline_scores(inputs)
    if scores.empty:
        return Drawing(pd.DataFrame(columns=COLUMNS), nothing_yet("no evaluated checkpoint"))
    others = headline_scores(inputs, others=True)
    # The first protocol has no name, where it is the only one.
    several = scores.benchmark.isin(others.benchmark if len(others) else [])
    scores = pd.concat([scores.assign(protocol=scores.protocol.where(several, "")), others], ignore_index=True)
    table = over_seeds(scores, ["family", "benchmark", "protocol", "metric", "architecture", "step"])
    first = scores.groupby(["architecture", "step"]).tokens.mean().round().rename("tokens")
    table = table.merge(first, on=["architecture", "step"])
    table = table.merge(scores.groupby(["benchmark", "protocol"]).chance.first().reset_index())
    table = table.merge(_controls(inputs), on=["benchmark", "step"], how="left")
    table = table.assign(origin="measured", ceiling=table.benchmark.map(ceilings(inputs)))
    shown = list(
        table.drop_duplicates(["benchmark", "protocol"])
        .assign(place=lambda rows: rows.family.map(FAMILY_ORDER.index))
        .sort_values(["place", "benchmark"], kind="stable")[["benchmark", "protocol"]]
        .itertuples(index=False)
    )
    rows_of_panels = -(-(len(shown) + 1) // PANELS_PER_ROW)
    figure, grid = plt.subplots(
        rows_of_panels, PANELS_PER_ROW, figsize=(9.0, 2.5 * rows_of_panels), layout="constrained", squeeze=False
    )
    panels = grid.flatten()
    for position, (benchmark, protocol) in enumerate(shown):
        of_panel = table[(table.benchmark == benchmark) & (table.protocol == protocol)]
        _panel(panels[position], of_panel, chr(ord("a") + position))
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    handles, labels = panels[0].get_legend_handles_labels()
    handles += [Line2D([], [], color=GREY, linestyle=line) for line in (":", "--", "-.")]
    labels += ["blind guesser", "same images, other prompts", "ceiling of the image tokenizer"]
    panels[len(shown)].legend(handles, labels, loc="center", fontsize=8.5)
    return Drawing(table[[*COLUMNS, *["protocol"] * bool(len(others))]], figure)


def ceilings(inputs: Inputs) -> dict[str, float]:
    """Best score that the image tokenizer allows, by benchmark."""
    table = inputs.table("ceilings", "scores.parquet")
    if table.empty:
        return {}
    best: dict[str, float] = table[table.metric == CEILING_METRIC].set_index("benchmark").value.to_dict()
    return best


def _controls(inputs: Inputs) -> pd.DataFrame:
    """Mean over architectures and seeds of the control, by benchmark and step."""
    table = inputs.table("evaluations", "scores.parquet")
    control = table[table.metric == CONTROL_METRIC]
    return control.groupby(["benchmark", "step"]).value.mean().rename("control").reset_index()


def _panel(axes: Axes, table: pd.DataFrame, letter: str) -> None:
    names = ordered_architectures(table.architecture)
    colors = architecture_colors(names)
    reach = table.tokens.max() / 1e6
    for place, name in enumerate(names):
        rows = table[table.architecture == name].sort_values("tokens")
        shift = (place - (len(names) - 1) / 2) * DODGE * reach
        axes.errorbar(
            rows.tokens / 1e6 + shift,
            rows.value,
            yerr=np.array(sides(rows)),
            color=colors[name],
            marker=marker_of(name),
            label=architecture_name(name),
            linewidth=1.3,
            elinewidth=0.8,
            capsize=1.5,
        )
    first = table.iloc[0]
    for value, line in ((first.chance, ":"), (first.ceiling, "-.")):
        if pd.notna(value):
            axes.axhline(value, color=GREY, linestyle=line, linewidth=1.0)
    control = table.drop_duplicates("step").sort_values("tokens").dropna(subset=["control"])
    axes.plot(control.tokens / 1e6, control.control, "--", color=GREY, linewidth=1.0)
    bounds = table[["low", "high", "chance", "control", "ceiling"]]
    bottom, top = float(bounds.min().min()), float(bounds.max().max())
    margin = 0.06 * max(top - bottom, 0.05)
    axes.set_ylim(max(-0.02, bottom - margin), min(1.03, top + margin))
    named = ", ".join(filter(None, (first.family, protocol_name(first.protocol))))
    axes.set_title(f"{letter}  {benchmark_name(first.benchmark)} ({named})")
    axes.set_xlabel("training tokens (millions)")
    axes.set_ylabel("score" if first.metric == "overall" else "accuracy")
