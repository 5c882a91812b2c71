"""Figure "gradient conflict over depth": how far text and image pull shared weights apart, layer by layer.

A line per architecture that shares weights, its mean over random splits, checkpoints and seeds, and a band of one
standard deviation. Layers that Uni-X holds per modality are shaded: there it has nothing to measure.
"""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from unix_lib.figures.inputs import Inputs
from unix_lib.figures.style import (
    Drawing,
    architecture_colors,
    architecture_name,
    marker_of,
    nothing_yet,
    ordered_architectures,
    preset_of,
)

# PAPER: the conflict figure shows these three; the mean of all seven is ours.
PANELS = {
    "down_proj": "a  FFN down",
    "o_proj": "b  Attention output",
    "v_proj": "c  Attention value",
    "mean": "d  Mean of all 7",
}
COLUMNS = [
    *("origin", "architecture", "projection", "layer", "value", "standard_deviation", "low", "high"),
    *("n", "checkpoints", "seeds", "s_inter", "s_base"),
]


def draw(inputs: Inputs) -> Drawing:
    """Draw the figure."""
    conflict = inputs.table("conflicts", "conflict.parquet")
    if conflict.empty or not conflict.shared.any():
        return Drawing(
            pd.DataFrame(columns=COLUMNS), nothing_yet("no conflict analysis of a checkpoint that shares weights")
        )
    table = summarize(conflict)
    separate = separate_layers(conflict)
    names = ordered_architectures(table.architecture)
    colors = architecture_colors(names)
    figure, panels = plt.subplots(1, len(PANELS), figsize=(9.6, 2.9), layout="constrained", sharey=True)
    for axes, (projection, title) in zip(panels, PANELS.items(), strict=True):
        _shade(axes, separate, int(conflict.layer.max()) + 1)
        axes.axhline(0, color="0.3", linewidth=0.8)
        for name in names:
            rows = table[(table.architecture == name) & (table.projection == projection)].sort_values("layer")
            # A layer without a row is a gap in the line.
            rows = rows.set_index("layer").reindex(range(1, int(conflict.layer.max()) + 2))
            style = {"color": colors[name], "marker": marker_of(name)}
            axes.plot(rows.index, rows.value, label=architecture_name(name), **style)
            axes.fill_between(
                rows.index,
                rows.value - rows.standard_deviation,
                rows.value + rows.standard_deviation,
                color=colors[name],
                alpha=0.18,
                linewidth=0,
            )
            alone = rows[rows.value.shift(1).isna() & rows.value.shift(-1).isna()]  # a band of one layer has no width
            axes.errorbar(
                alone.index,
                alone.value,
                alone.standard_deviation,
                fmt="none",
                ecolor=colors[name],
                alpha=0.4,
                elinewidth=4,
            )
        axes.set_title(title)
        axes.set_xlabel("layer")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[0].set_ylabel("gradient conflict $c$")
    handles, labels = panels[0].get_legend_handles_labels()
    if separate:
        handles.append(plt.Rectangle((0, 0), 1, 1, color="0.92"))
        labels.append("separate per modality in Uni-X")
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return Drawing(table, figure)


def summarize(conflict: pd.DataFrame) -> pd.DataFrame:
    """Mean and spread per architecture, projection and layer; layers count from 1, as in the paper's figures."""
    shared = conflict[conflict.shared]
    keys = ["architecture", "layer", "run", "step", "seed", "split"]
    # The mean is taken only where all seven projections are shared: fewer would be another quantity.
    counts = shared.groupby(keys).projection.nunique()
    mean = shared.groupby(keys)[["conflict", "s_inter", "s_base"]].mean()[counts == counts.max()].reset_index()
    rows = pd.concat([shared, mean.assign(projection="mean")], ignore_index=True)
    grouped = rows.groupby(["architecture", "projection", "layer"], sort=True)
    table = grouped.agg(
        value=("conflict", "mean"),
        standard_deviation=("conflict", "std"),
        low=("conflict", lambda values: values.quantile(0.025)),
        high=("conflict", lambda values: values.quantile(0.975)),
        n=("conflict", "size"),
        checkpoints=("step", "nunique"),
        seeds=("seed", "nunique"),
        s_inter=("s_inter", "mean"),
        s_base=("s_base", "mean"),
    ).reset_index()
    return table.assign(origin="measured", layer=table.layer + 1)[COLUMNS]


def separate_layers(conflict: pd.DataFrame) -> list[int]:
    """Layers, from 1, that the first Uni-X split in the table holds per modality."""
    unix = conflict[conflict.architecture.map(preset_of) == "unix"]
    if unix.empty:
        return []
    first = unix[unix.architecture == ordered_architectures(unix.architecture)[0]]
    anything_shared = first.groupby("layer").shared.any()
    return [int(layer) + 1 for layer in anything_shared.index[~anything_shared]]


def _shade(axes: Axes, layers: list[int], last: int) -> None:
    for layer in layers:
        axes.axvspan(layer - 0.5, layer + 0.5, color="0.92", linewidth=0, zorder=0)
    axes.set_xlim(0.5, last + 0.5)
    axes.grid(axis="x", visible=False)
