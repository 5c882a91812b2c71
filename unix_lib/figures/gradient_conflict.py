"""Figure "gradient conflict over depth": how far text and image pull shared weights apart, layer by layer.

A line per architecture that shares weights. Upper panels: the paper's conflict, its mean over random splits,
checkpoints and seeds, with a band of one standard deviation. Lower panels: the same without what noise takes from it
(`unix_lib.analyze.attenuation`), over the whole range of 1 - cos. There a hollow point off the line rests on gradients
that are mostly noise, and a gap means that they are too noisy to tell; what noise drives off the range is in the CSV
alone. Layers that Uni-X holds per modality are shaded: there it has nothing to measure. Where the analysis tells how
precise it is, bars are 95% intervals over documents. Of three checkpoints and more the paper's own curve is
below: the mean of c over checkpoints, and its spread over them.
"""

import math

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from scipy import special

from unix_lib.analyze.attenuation import LEAST_RELIABILITY, corrected_by
from unix_lib.analyze.conflict_precision import jackknife, mean_conflict
from unix_lib.artefacts.manifest import read_manifest
from unix_lib.config.figures import DrawnFigure
from unix_lib.figures.evidence import least_detectable
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.style import (
    Drawing,
    architecture_colors,
    architecture_name,
    compared_unix,
    marker_of,
    nothing_yet,
    ordered_architectures,
)

# PAPER: the conflict figure shows these three; the mean of all seven is ours.
PANELS = {
    "down_proj": "FFN down",
    "o_proj": "Attention output",
    "v_proj": "Attention value",
    "mean": "Mean of all 7",
}
LETTERS = "abcdefghijkl"
COLUMNS = [  # `n` is the documents per modality behind each value, `values` the splits x checkpoints x seeds averaged
    *("origin", "architecture", "projection", "layer", "value", "standard_deviation", "split_low", "split_high"),
    *("corrected", "n", "values", "checkpoints", "seeds", "s_inter", "s_base", "s_text", "s_image"),
]


PRECISE = ("corrected_low", "corrected_high", "detectable")
LEAST_CHECKPOINTS = 3  # that have a spread


def draw(inputs: Inputs, settings: DrawnFigure) -> Drawing:
    """Draw the figure."""
    return drawn(measured_conflict(inputs), inputs.table("conflict", "precision.parquet"))


def drawn(conflict: pd.DataFrame, precision: pd.DataFrame) -> Drawing:
    """The figure of `measured_conflict`, and of the `precision.parquet` of the same checkpoints, which may be empty."""
    if conflict.empty or not conflict.shared.any():
        return Drawing(
            pd.DataFrame(columns=COLUMNS), nothing_yet("no conflict analysis of a checkpoint that shares weights")
        )
    table = summarize(conflict)
    if len(precision):
        table = with_precision(table, precision)
    curve = paper_curve(conflict)
    separate = separate_layers(conflict)
    layers = range(1, int(conflict.layer.max()) + 2)
    names = ordered_architectures(table.architecture)
    colors = architecture_colors(names)
    noisy = table[["s_text", "s_image"]].min(axis=1) < LEAST_RELIABILITY
    shown = table.assign(solid=table.corrected.mask(noisy), hollow=table.corrected.where(noisy))
    shown = shown[shown.projection.isin(PANELS)]
    rows_of_panels, height = (3, 7.0) if len(curve) else (2, 4.9)
    figure, panels = plt.subplots(
        rows_of_panels, len(PANELS), figsize=(9.6, height), layout="constrained", sharex=True, sharey="row"
    )
    for letter, axes, title in zip(LETTERS, panels.flat, [*PANELS.values()] * rows_of_panels, strict=False):
        axes.set_title(f"{letter}  {title}")
        _shade(axes, separate, len(layers))
    for column, projection in enumerate(PANELS):
        upper, lower, *under = panels[:, column]
        upper.axhline(0, color="0.3", linewidth=0.8)
        lower.axhline(1, color="0.3", linewidth=0.8, linestyle="--")
        for name in names:
            rows = shown[(shown.architecture == name) & (shown.projection == projection)]
            rows = rows.set_index("layer").reindex(layers)  # a layer without a row is a gap in the line
            style = {"color": colors[name], "marker": marker_of(name)}
            upper.plot(rows.index, rows.value, label=architecture_name(name), **style)
            _band(upper, rows, colors[name])
            lower.plot(rows.index, rows.solid, **style)
            lower.plot(rows.index, rows.hollow, **style, linestyle="none", markerfacecolor="white")
            if len(precision):
                margins = [rows.corrected - rows.corrected_low, rows.corrected_high - rows.corrected]
                lower.errorbar(rows.index, rows.corrected, margins, fmt="none", ecolor=colors[name], elinewidth=0.8)
            for axes in under:
                own = curve[(curve.architecture == name) & (curve.projection == projection)].set_index("layer")
                own = own.reindex(layers)
                axes.plot(own.index, own.value, **style)
                _band(axes, own, colors[name])
        panels[-1, column].set_xlabel("layer")
        lower.xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[0, 0].set_ylabel("gradient conflict $c$\n(the paper's)")
    panels[1, 0].set_ylabel("corrected for noise\n$1 - \\cos$(text, image)")
    panels[1, 0].set_ylim(-0.05, 2.05)
    panels[1, 0].set_yticks([0, 0.5, 1, 1.5, 2], ["0 same way", "0.5", "1 unrelated", "1.5", "2 opposed"])
    if len(curve):
        panels[2, 0].set_ylabel("gradient conflict $c$\nover checkpoints")
    figure.align_ylabels(panels[:, 0])
    _legend(figure, panels[0, 0], separate=bool(separate), hollow=bool(shown.hollow.notna().any()))
    return Drawing(table, figure)


def measured_conflict(inputs: Inputs) -> pd.DataFrame:
    """`conflict.parquet` of all checkpoints, with the documents per modality behind each row in `documents`."""
    conflict = inputs.table("conflict", "conflict.parquet")
    if conflict.empty:
        return conflict
    facts = {artefact: read_manifest(inputs.results / artefact).facts for artefact in conflict.artefact.unique()}
    documents = {artefact: of_artefact["documents_per_modality"] for artefact, of_artefact in facts.items()}
    reached = {
        artefact: of_artefact.get("reliability", 1.0) >= inputs.recipe(artefact).settings.get("reliability", 0.0)
        for artefact, of_artefact in facts.items()
    }
    return conflict.assign(documents=conflict.artefact.map(documents), reached=conflict.artefact.map(reached))


def with_precision(table: pd.DataFrame, precision: pd.DataFrame) -> pd.DataFrame:
    """`summarize`'s table with intervals over documents, and the least difference from them seen with 80% power."""
    whole = precision[precision.part == ""]
    counts = whole.groupby(["architecture", "layer"]).projection.nunique()
    found = {}
    for (architecture, layer), of_layer in whole.groupby(["architecture", "layer"]):
        cells = {str(name): rows for name, rows in of_layer.groupby("projection")}
        if counts[architecture, layer] == counts.max():
            cells["mean"] = of_layer
        for name, rows in cells.items():
            value, error, freedom = jackknife(rows, mean_conflict)
            if math.isnan(error):  # without some chunk the gradients are too noisy to tell
                continue
            margin = float(special.stdtrit(freedom, 0.975)) * error
            least = least_detectable(error, freedom)
            found[architecture, name, int(layer) + 1] = (value, value - margin, value + margin, least)
    keys = list(zip(table.architecture, table.projection, table.layer, strict=True))
    known = pd.DataFrame([found.get(key, (float("nan"),) * 4) for key in keys], columns=["corrected", *PRECISE])
    return table.assign(**{name: known[name].to_numpy() for name in known})[[*COLUMNS, *PRECISE]]


def paper_curve(conflict: pd.DataFrame) -> pd.DataFrame:
    """The paper's curve: `value` and `standard_deviation` of c over checkpoints; empty of fewer than three."""
    rows = _with_mean(conflict[conflict.shared])
    cells = ["architecture", "projection", "layer"]
    of_steps = rows.groupby([*cells, "step"]).conflict.mean()
    curve = of_steps.groupby(cells).agg(value="mean", standard_deviation="std", checkpoints="size").reset_index()
    curve = curve[curve.checkpoints >= LEAST_CHECKPOINTS]
    return curve.assign(layer=curve.layer + 1)


def summarize(conflict: pd.DataFrame) -> pd.DataFrame:
    """Mean and spread of `measured_conflict` per architecture, projection and layer; layers count from 1 in it."""
    rows = _with_mean(conflict[conflict.shared])
    cells = ["architecture", "projection", "layer"]
    table = rows.groupby(cells, sort=True).agg(
        value=("conflict", "mean"),
        standard_deviation=("conflict", "std"),
        split_low=("conflict", lambda values: values.quantile(0.025)),
        split_high=("conflict", lambda values: values.quantile(0.975)),
        n=("documents", "min"),  # checkpoints of one mixture are measured on the same documents, so they don't add up
        values=("conflict", "size"),
        checkpoints=("step", "nunique"),
        seeds=("seed", "nunique"),
        **{name: (name, "mean") for name in ("s_inter", "s_base", "s_text", "s_image")},
    )
    table = table.assign(corrected=corrected_by(rows, cells)).reset_index()
    return table.assign(origin="measured", layer=table.layer + 1)[COLUMNS]


def _with_mean(shared: pd.DataFrame) -> pd.DataFrame:
    """Rows of `measured_conflict` and, as another projection, their mean."""
    keys = ["architecture", "layer", "run", "step", "seed", "split", "documents"]
    # The mean is taken only where all seven projections are shared: fewer would be another quantity.
    counts = shared.groupby(keys).projection.nunique()
    measured = ["conflict", "s_inter", "s_base", "s_text", "s_image"]
    mean = shared.groupby(keys)[measured].mean()[counts == counts.max()].reset_index()
    return pd.concat([shared, mean.assign(projection="mean")], ignore_index=True)


def separate_layers(conflict: pd.DataFrame) -> list[int]:
    """Layers, from 1, that the compared Uni-X split holds per modality."""
    unix = compared_unix(ordered_architectures(conflict.architecture))
    if unix is None:
        return []
    anything_shared = conflict[conflict.architecture == unix].groupby("layer").shared.any()
    return [int(layer) + 1 for layer in anything_shared.index[~anything_shared]]


def _band(axes: Axes, rows: pd.DataFrame, color: str) -> None:
    """One standard deviation around `value`, as a bar where a layer stands alone: a band of one has no width."""
    low, high = rows.value - rows.standard_deviation, rows.value + rows.standard_deviation
    axes.fill_between(rows.index, low, high, color=color, alpha=0.18, linewidth=0)
    alone = rows[rows.value.shift(1).isna() & rows.value.shift(-1).isna()]
    spread = alone.standard_deviation
    axes.errorbar(alone.index, alone.value, spread, fmt="none", ecolor=color, alpha=0.4, elinewidth=4)


def _shade(axes: Axes, layers: list[int], last: int) -> None:
    for layer in layers:
        axes.axvspan(layer - 0.5, layer + 0.5, color="0.92", linewidth=0, zorder=0)
    axes.set_xlim(0.5, last + 0.5)
    axes.grid(axis="x", visible=False)


def _legend(figure: Figure, axes: Axes, *, separate: bool, hollow: bool) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if separate:
        handles.append(Rectangle((0, 0), 1, 1, color="0.92"))
        labels.append("separate per modality in Uni-X")
    if hollow:
        handles.append(Line2D([], [], color="0.4", marker="o", markerfacecolor="white", linestyle="none"))
        labels.append("gradients mostly noise")
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
