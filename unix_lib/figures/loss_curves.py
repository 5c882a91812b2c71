"""Figure "loss curves": training loss per modality and architecture, smoothed, with the held-out loss as points.

The CSV joins a long run's steps to stretches, so that it stays small enough for git; every step's loss is in the
checkpoints' `log.parquet`. The lines are running means over targets.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from unix_lib.artefacts.manifest import read_manifest
from unix_lib.config.figures import DrawnFigure
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.style import (
    GREY,
    Drawing,
    architecture_colors,
    architecture_name,
    empty_axes,
    marker_of,
    nothing_yet,
    ordered_architectures,
)

STRETCHES = 300  # of a run and modality, in the table
SMOOTHED_SHARE = 0.06  # of a run's stretches, the window of the running mean
SHOWN_QUANTILE = 0.98  # of the drawn values; the first steps may lie above the axis
COLUMNS = [
    *("origin", "run", "architecture", "seed", "split", "modality", "step", "tokens", "value", "n", "steps", "spread")
]


def draw(inputs: Inputs, settings: DrawnFigure) -> Drawing:
    """Draw the figure from the last checkpoints' logs."""
    table = loss_table(inputs)
    if table.empty:
        return Drawing(table, nothing_yet("no finished run"))
    multimodal = set(table[table.modality == "image"].run)
    compared = table[table.run.isin(multimodal)] if multimodal else table
    names = ordered_architectures(compared.architecture)
    colors = architecture_colors(names)
    figure, panels = plt.subplots(1, 2, figsize=(9.0, 3.3), layout="constrained")
    titles = {"text": "a  Text tokens", "image": "b  Image tokens"}
    for axes, (modality, title) in zip(panels, titles.items(), strict=True):
        rows = compared[compared.modality == modality]
        shown: list[pd.Series] = []
        for name in names:
            for position, (_, run) in enumerate(rows[rows.architecture == name].groupby("run")):
                train, heldout = run[run.split == "train"], run[run.split == "heldout"]
                smooth = smoothed(train)
                shown += [smooth, heldout.value]
                label = architecture_name(name) if position == 0 else None
                axes.plot(train.tokens / 1e6, smooth, color=colors[name], label=label, linewidth=1.3)
                axes.plot(
                    heldout.tokens / 1e6,
                    heldout.value,
                    marker_of(name),
                    color=colors[name],
                    markeredgecolor="white",
                    markersize=5,
                    markeredgewidth=0.6,
                    zorder=4,
                )
        axes.set_title(title)
        if not shown:
            empty_axes(axes, "no run has learned from these yet")
            continue
        values = pd.concat(shown)
        # An untrained model's loss on a new modality would press everything else to the floor.
        low, high = values.min(), values.quantile(SHOWN_QUANTILE)
        if high > low:
            axes.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))
        axes.set_xlabel("training tokens (millions)")
        axes.set_ylabel("loss (nats per token)")
    handles, labels = panels[0].get_legend_handles_labels()
    handles.append(Line2D([], [], color=GREY, marker="o", linestyle="none", markeredgecolor="white"))
    labels.append("held-out")
    panels[1].legend(handles, labels, loc="upper right")
    return Drawing(table, figure)


def smoothed(train: pd.DataFrame) -> pd.Series:
    """Running mean over targets: a step with few targets of a modality (an image's last tokens, say) counts little.

    A mean over steps would put such steps' easy tokens on a par with whole documents, below the held-out loss.
    """
    window = max(1, round(SMOOTHED_SHARE * len(train)))
    options = {"window": window, "center": True, "min_periods": 1}
    return (train.value * train.n).rolling(**options).sum() / train.n.rolling(**options).sum()


def in_stretches(losses: pd.DataFrame) -> pd.DataFrame:
    """Join neighbouring rows until at most `STRETCHES` are left; means and spreads weigh a row by its targets."""
    stretch = np.arange(len(losses)) * STRETCHES // max(len(losses), STRETCHES)
    sums = losses.assign(steps=1, value=losses.value * losses.n).groupby(stretch)[["value", "n", "steps"]].sum()
    mean = sums.value / sums.n
    squares = ((losses.value - mean.to_numpy()[stretch]) ** 2 * losses.n).groupby(stretch).sum()
    spread = np.sqrt(squares / sums.n).where(sums.steps > 1)
    return losses.groupby(stretch).last().assign(value=mean, n=sums.n, steps=sums.steps, spread=spread)


def loss_table(inputs: Inputs) -> pd.DataFrame:
    """Losses of all runs, a row per stretch of steps or measurement and modality.

    `value` is the mean over the stretch's `n` targets, `spread` the standard deviation of its `steps` steps' losses
    around it (null for one step), `step` and `tokens` are those at its end.
    """
    parts = []
    for folder in inputs.folders("checkpoints"):
        facts = read_manifest(folder).facts
        for split, file in (("train", "log.parquet"), ("heldout", "heldout.parquet")):
            log = pd.read_parquet(folder / file)
            for modality in ("text", "image"):
                part = log[["step", "tokens"]].assign(
                    **{name: facts[name] for name in ("run", "architecture", "seed")},
                    origin="measured",
                    split=split,
                    modality=modality,
                    value=log[f"loss_{modality}"].astype(float),
                    n=log[f"tokens_{modality}"],
                )
                parts.append(in_stretches(part.dropna(subset=["value"])))
    return pd.concat(parts, ignore_index=True)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)
