"""Figure "caption samples": held-out captions of each source, their images, and what each model draws of them.

A row a caption, under the name of its source: the caption, the original, what its codes give back with its PSNR, and an
image of each run. Of several seeds of an architecture the lowest draws. Captions in a script that the figure's font
does not have stand in the table.
"""

import io
import textwrap
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.font_manager import findfont, get_font
from PIL import Image

from unix_lib.config.figures import DrawnFigure
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.style import (
    GREY,
    Drawing,
    architecture_colors,
    architecture_name,
    nothing_yet,
    ordered_architectures,
)

SHOWN_SOURCES, SHOWN_CAPTIONS = 8, 8  # ASSUME: more would be a page that nobody scrolls through; the CSV has all
IMAGE_INCHES, CELL_INCHES, ROW_INCHES, SOURCE_INCHES = 0.95, 1.0, 1.12, 0.24
LEFT_INCHES, TOP_INCHES = 2.1, 0.62
LINE_CHARACTERS, LINES = 38, 6
COLUMNS = [
    *("origin", "number", "source", "split", "caption", "architecture", "run", "seed", "step", "tokens"),
    *("sample_id", "image_id", "psnr_db", "n"),
]


def draw(inputs: Inputs, settings: DrawnFigure) -> Drawing:
    """Draw the grid."""
    rows = inputs.table("caption_samples", "caption_samples.parquet")
    if rows.empty:
        what = "no checkpoint has drawn a caption: no source has captions of encoded images, or nothing decodes images"
        return Drawing(pd.DataFrame(columns=COLUMNS), nothing_yet(what))
    rows = rows[rows.seed == rows.groupby("architecture").seed.transform("min")]
    captions = rows.drop_duplicates(["source", "sample_id"]).reset_index(drop=True)
    captions = captions.sort_values("source", kind="stable").assign(number=range(1, len(captions) + 1))
    table = rows.merge(captions[["source", "sample_id", "number"]], on=["source", "sample_id"])
    table = table.assign(origin="measured", n=1).sort_values(["number", "architecture", "run"], kind="stable")

    shown = captions[captions.source.isin(captions.source.unique()[:SHOWN_SOURCES])]
    shown = shown.groupby("source", sort=False).head(SHOWN_CAPTIONS)
    runs = [
        (name, run)
        for name in ordered_architectures(table.architecture)
        for run in sorted(table[table.architecture == name].run.unique())
    ]
    width = LEFT_INCHES + CELL_INCHES * (2 + len(runs))
    height = TOP_INCHES + ROW_INCHES * len(shown) + SOURCE_INCHES * shown.source.nunique()
    figure = plt.figure(figsize=(width, height))
    canvas = figure.add_axes((0, 0, 1, 1))
    canvas.set_axis_off()
    canvas.text(0.09, height - 0.2, "Held-out captions and what is drawn of them", fontsize=9, fontweight="bold")
    _headings(canvas, height - TOP_INCHES + 0.06, runs)
    drawn = table.set_index(["run", "number"])
    y = height - TOP_INCHES
    for source, of_source in shown.groupby("source", sort=False):
        y -= SOURCE_INCHES
        held_out = "" if of_source.split.iloc[0] == "heldout" else " (nothing is held out: training captions)"
        heading = f"{source}{held_out}"
        canvas.text(0.09, y + 0.07, heading, fontsize=7.5, fontweight="bold", color=GREY, parse_math=False)
        for row in of_source.itertuples():
            y -= ROW_INCHES
            canvas.text(0.09, y + ROW_INCHES - 0.04, _caption(row), fontsize=6.5, va="top", parse_math=False)
            pictures = [row.original, row.reconstruction]
            pictures += [
                drawn.loc[(run, row.number)].generated if (run, row.number) in drawn.index else None for _, run in runs
            ]
            for column, picture in enumerate(pictures):
                _image(canvas, LEFT_INCHES + CELL_INCHES * column, y + ROW_INCHES - IMAGE_INCHES, picture)
            if not pd.isna(row.psnr_db):
                x = LEFT_INCHES + CELL_INCHES + IMAGE_INCHES / 2
                canvas.text(x, y + 0.02, f"{row.psnr_db:.1f} dB", fontsize=6.5, ha="center", va="bottom", color=GREY)
    canvas.set(xlim=(0, width), ylim=(-0.04, height), aspect="auto")
    return Drawing(table[COLUMNS], figure)


def _headings(canvas: Axes, y: float, runs: list[tuple[str, str]]) -> None:
    """What each column holds: an architecture's name, and the run's where an architecture has several."""
    names = [name for name, _ in runs]
    colors = architecture_colors(list(dict.fromkeys(names)))
    headings = [("original", GREY), ("from its codes", GREY)]
    for name, run in runs:
        several = names.count(name) > 1
        headings.append((f"{architecture_name(name)}\n{run}" if several else architecture_name(name), colors[name]))
    for column, (heading, color) in enumerate(headings):
        x = LEFT_INCHES + CELL_INCHES * column + IMAGE_INCHES / 2
        canvas.text(x, y, heading, fontsize=7, ha="center", va="bottom", color=color, parse_math=False)


def _caption(row: tuple) -> str:  # type: ignore[type-arg]  # a named tuple of pandas
    caption = " ".join(row.caption.split())  # type: ignore[attr-defined]
    if not all(ord(character) in _characters() for character in caption):
        caption = "(in the table: this font does not have its script)"
    return textwrap.fill(f"{row.number}  {caption}", LINE_CHARACTERS, max_lines=LINES, placeholder=" ...")  # type: ignore[attr-defined]


@cache
def _characters() -> frozenset[int]:
    """Code points that the figures' font has."""
    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())


def _image(canvas: Axes, x: float, y: float, data: bytes | None) -> None:
    """One image, lower left corner at (x, y) inches; pixels stay squares however small it is."""
    if data is None:
        return
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    extent = (x, x + IMAGE_INCHES, y, y + IMAGE_INCHES)
    canvas.imshow(pixels, interpolation="nearest" if len(pixels) < 200 else "antialiased", extent=extent)
