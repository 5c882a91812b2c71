"""Figure "held-out loss": each source's loss on text and images at the last checkpoints; its table has all of them."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from unix_lib.config.figures import DrawnFigure
from unix_lib.evaluate.intervals import Z_95
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.style import (
    Drawing,
    architecture_colors,
    architecture_name,
    empty_axes,
    marker_of,
    nothing_yet,
    ordered_architectures,
)

MODALITIES = {"text": "a  Text tokens", "image": "b  Image tokens"}
SPREAD = 0.5  # of a source's row, that its runs are spread over
COLUMNS = [
    *("origin", "source", "modality", "run", "architecture", "seed", "step", "tokens"),
    *("value", "standard_error", "low", "high", "n", "documents"),
]


def draw(inputs: Inputs, settings: DrawnFigure) -> Drawing:
    """Draw a panel for each modality."""
    measured = inputs.table("heldout_loss", "heldout_loss.parquet")
    if measured.empty:
        return Drawing(pd.DataFrame(columns=COLUMNS), nothing_yet("no checkpoint is measured on held-out documents"))
    margin = Z_95 * measured.standard_error.astype(float)
    table = measured.assign(
        origin="measured",
        value=measured.loss,
        low=measured.loss - margin,
        high=measured.loss + margin,
        n=measured.targets,
    )
    last = table[table.step == table.groupby("run").step.transform("max")]
    rows = max(last[last.modality == modality].source.nunique() for modality in MODALITIES)
    figure, panels = plt.subplots(1, 2, figsize=(9.0, 1.0 + 0.5 * rows), layout="constrained")
    for axes, (modality, title) in zip(panels, MODALITIES.items(), strict=True):
        axes.set_title(title)
        _panel(axes, last[last.modality == modality])
    handles = {
        label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside upper right", ncols=len(handles))
    return Drawing(table[COLUMNS].sort_values(COLUMNS[1:7], kind="stable"), figure)


def _panel(axes: Axes, rows: pd.DataFrame) -> None:
    """A row of the panel for each source, in it a point for each run."""
    if rows.empty:
        empty_axes(axes, "no held-out document has such targets")
        return
    sources, names = list(rows.source.unique()), ordered_architectures(rows.architecture)
    colors, runs = architecture_colors(names), list(rows.sort_values("seed", kind="stable").run.unique())
    for name in names:
        own = rows[rows.architecture == name]
        shift = [SPREAD * ((runs.index(run) + 0.5) / len(runs) - 0.5) for run in own.run]
        places = [sources.index(source) + by for source, by in zip(own.source, shift, strict=True)]
        errors = (Z_95 * own.standard_error.astype(float)).fillna(0)
        form, label = marker_of(name), architecture_name(name)
        axes.errorbar(own.value, places, xerr=errors, fmt=form, color=colors[name], label=label, elinewidth=1.0)
    axes.set_yticks(range(len(sources)), sources)
    axes.set_ylim(len(sources) - 0.5, -0.5)
    axes.set_xlabel("held-out loss (nats per token), 95% interval")
