"""Figure "reconstructions": held-out images of each source above what is left of them behind the image tokenizer.

Below them PSNR, a point an image, and how many codes of the codebook a source uses, and how evenly.
"""

import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from PIL import Image

from unix_lib.config.figures import DrawnFigure
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.style import GREY, IMAGE_COLORS, LIGHT_GREY, Drawing, empty_axes, nothing_yet

SHOWN_SOURCES = 10  # ASSUME: more would be a page that nobody scrolls through; the CSV has all
IMAGE_INCHES, CELL_INCHES, SOURCE_GAP_INCHES = 0.79, 0.82, 0.14
LEFT_INCHES, TOP_INCHES, PANEL_INCHES, ROW_INCHES = 1.45, 0.5, 0.75, 0.28
LEAST_COLUMNS = 6  # the panels' room
COLUMNS = ["origin", "source", "split", "measure", "value", "spread", "n", "codebook_size"]
NO_DECODER = "this image tokenizer has no decoder, so that nothing can be reconstructed"


def draw(inputs: Inputs, settings: DrawnFigure) -> Drawing:
    """Draw images, and two panels."""
    images = inputs.table("reconstructions", "reconstructions.parquet")
    used = inputs.table("reconstructions", "codebook.parquet")
    used = used[used.images > 0] if len(used) else used
    if used.empty:
        return Drawing(pd.DataFrame(columns=COLUMNS), nothing_yet("no source has encoded images"))
    sources = list(used.source.unique()[:SHOWN_SOURCES])
    shown = images[images.original.notna() & images.source.isin(sources)]
    with_pictures = [source for source in sources if (shown.source == source).any()]
    columns = max([LEAST_COLUMNS, *shown.groupby("source").size()])
    width = LEFT_INCHES + CELL_INCHES * columns + 0.1
    pictures = len(with_pictures) * (2 * CELL_INCHES + SOURCE_GAP_INCHES)
    panel = PANEL_INCHES + ROW_INCHES * len(sources)
    height = TOP_INCHES + pictures + panel
    figure = plt.figure(figsize=(width, height))
    canvas = figure.add_axes((0, panel / height, 1, 1 - panel / height))
    canvas.set_axis_off()
    top = height - panel
    canvas.text(0.09, top - 0.2, "Held-out images and their reconstructions", fontsize=9, fontweight="bold")
    canvas.text(
        0.09, top - 0.36, "upper rows as stored, lower rows after coding and decoding", fontsize=6.8, color=GREY
    )
    for row, source in enumerate(with_pictures):
        y = top - TOP_INCHES - (row + 1) * (2 * CELL_INCHES + SOURCE_GAP_INCHES) + SOURCE_GAP_INCHES
        _pictures(canvas, y, shown[shown.source == source], _described(source, images, used))
    canvas.set(xlim=(0, width), ylim=(0, top), aspect="auto")
    room = (width - LEFT_INCHES - 0.5) / 2
    axes = [
        figure.add_axes((left / width, 0.45 / height, room / width, ROW_INCHES * len(sources) / height))
        for left in (LEFT_INCHES, LEFT_INCHES + room + 0.4)
    ]
    _psnr(axes[0], sources, images)
    _codebook(axes[1], sources, used)
    return Drawing(_table(images, used), figure)


def _table(images: pd.DataFrame, used: pd.DataFrame) -> pd.DataFrame:
    """An observation a row: of a source mean PSNR, codes used, perplexity."""
    psnr = images.groupby(["source", "split"], sort=False).psnr_db.agg(["mean", "std", "size"]).reset_index()
    psnr = psnr.rename(columns={"mean": "value", "std": "spread", "size": "n"}).assign(measure="psnr_db")
    rows = [psnr]
    for measure in ("codes_used", "code_perplexity"):
        rows.append(used.assign(measure=measure, value=used[measure].astype(float), n=used.images))
    order = {source: place for place, source in enumerate(used.source)}
    table = pd.concat(rows, ignore_index=True).assign(origin="measured").reindex(columns=COLUMNS)
    return table.sort_values("source", key=lambda names: names.map(order), kind="stable")


def _described(source: str, images: pd.DataFrame, used: pd.DataFrame) -> str:
    psnr, use = images[images.source == source].psnr_db, used[used.source == source].iloc[0]
    spread = f" ± {psnr.std():.1f}" if len(psnr) > 1 else ""
    held_out = "held-out" if use.split == "heldout" else "training"
    return f"{source}\n{psnr.mean():.1f}{spread} dB\nof {len(psnr)} {held_out}\nimage{'s' * (len(psnr) != 1)}"


def _pictures(canvas: Axes, y: float, rows: pd.DataFrame, label: str) -> None:
    """A source's images, from y inches upwards."""
    canvas.text(LEFT_INCHES - 0.1, y + CELL_INCHES, label, ha="right", va="center", fontsize=7)
    for column, row in enumerate(rows.itertuples()):
        x = LEFT_INCHES + CELL_INCHES * column
        for data, bottom in ((row.reconstruction, y), (row.original, y + CELL_INCHES)):
            pixels = np.asarray(Image.open(io.BytesIO(data)))
            extent = (x, x + IMAGE_INCHES, bottom, bottom + IMAGE_INCHES)
            canvas.imshow(pixels, interpolation="nearest" if len(pixels) < 200 else "antialiased", extent=extent)


def _psnr(axes: Axes, sources: list[str], images: pd.DataFrame) -> None:
    if images.empty:
        empty_axes(axes, NO_DECODER)
        return
    for place, source in enumerate(sources):
        values = images[images.source == source].psnr_db.to_numpy()
        axes.plot(values, np.full(len(values), place), "|", color=LIGHT_GREY, markersize=7)
        if len(values):
            axes.plot(values.mean(), place, "o", color=IMAGE_COLORS[0])
    axes.set_xlabel("PSNR of an image, and the mean (dB)")
    _rows(axes, sources)
    axes.set_yticks(range(len(sources)), sources)


def _codebook(axes: Axes, sources: list[str], used: pd.DataFrame) -> None:
    of_source = used.set_index("source").loc[sources]
    places, size = range(len(sources)), int(used.codebook_size.max())
    axes.barh(places, of_source.codes_used, height=0.62, color=IMAGE_COLORS[2], label="codes used")
    axes.plot(of_source.code_perplexity.to_numpy(dtype=float), places, "o", color=IMAGE_COLORS[0], label="perplexity")
    axes.set(xlabel=f"codes of {size:,}: used (bar), perplexity (point)", xlim=(0, size))
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    _rows(axes, sources)
    axes.set_yticks(range(len(sources)), [""] * len(sources))


def _rows(axes: Axes, sources: list[str]) -> None:
    axes.set_ylim(len(sources) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
