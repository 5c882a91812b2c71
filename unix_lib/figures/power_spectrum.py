"""Figure "power spectrum": how the power of each source's images falls with frequency, beside that of photographs."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import NullFormatter, ScalarFormatter

from unix_lib.config.figures import DrawnFigure
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.style import GREY, Drawing, nothing_yet

FITTED = (2, 12)  # cycles a side: below it the window shows, above it the pixels do
COLUMNS = ["origin", "source", "photograph", "frequency", "value", "exponent", "n"]


def draw(inputs: Inputs, settings: DrawnFigure) -> Drawing:
    """A line per source, dashed and grey those of photographs."""
    table = inputs.table("power_spectrum", "power_spectrum.parquet")
    if table.empty:
        return Drawing(pd.DataFrame(columns=COLUMNS), nothing_yet("no power spectrum measured"))
    table = table.rename(columns={"power": "value", "images": "n"}).assign(origin="measured")
    table["exponent"] = table.source.map({name: exponent(rows) for name, rows in table.groupby("source")})
    figure, axes = plt.subplots(figsize=(5.2, 3.6), layout="constrained")
    table = table.assign(place=table.source.map(_in_order)).sort_values(["photograph", "place"], kind="stable")
    scenes = list(table[~table.photograph].source.unique())
    shades = plt.get_cmap("viridis")(np.linspace(0.05, 0.85, len(scenes)))
    for source, rows in table.groupby("source", sort=False):
        taken = bool(rows.photograph.iloc[0])
        style = {"color": GREY, "linestyle": "--"} if taken else {"color": shades[scenes.index(source)], "marker": "."}
        label = f"{source}{', photograph' * taken}: {rows.exponent.iloc[0]:.1f}"
        axes.loglog(rows.frequency, rows.value, label=label, **style)
    axes.set(xlabel="cycles per side of an image", ylabel="share of the power of a frequency")
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.legend(title=f"exponent between {FITTED[0]} and {FITTED[1]} cycles")
    return Drawing(table[COLUMNS], figure)


def _in_order(name: str) -> str:
    """Numbers in a name as long as each other: `scenes-30` comes before `scenes-100`."""
    return re.sub(r"\d+", lambda number: number[0].zfill(12), name)


def exponent(spectrum: pd.DataFrame) -> float:
    """Exponent of power over frequency within `FITTED`, by least squares of logarithms; NaN without any power."""
    rows = spectrum[spectrum.frequency.between(*FITTED) & (spectrum.value > 0)]
    if len(rows) < 2:
        return float("nan")
    return float(np.polyfit(np.log(rows.frequency), np.log(rows.value), 1)[0])
