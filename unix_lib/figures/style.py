"""How every figure looks and is written: one font, one colour per architecture, the scale below, stable bytes."""

import re
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from textwrap import wrap

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from unix_lib.artefacts.files import atomic_path

PNG_DPI = 150
PLACES_DIGITS = 6  # of a figure's width and height
FOOTER_LINE_INCHES = 0.16
FOOTER_CHARACTERS_PER_INCH = 15.5

# Okabe and Ito's palette, distinct for all common kinds of colour vision.
ARCHITECTURE_COLORS = {
    "shared": "#0072B2",
    "unix": "#D55E00",
    "mot": "#009E73",
    "moe": "#CC79A7",
    "custom": "#E69F00",
}
ARCHITECTURE_MARKERS = {"shared": "o", "unix": "s", "mot": "^", "moe": "D", "custom": "v"}
ARCHITECTURE_NAMES = {"shared": "Shared", "unix": "Uni-X", "mot": "MoT", "moe": "MoE", "custom": "Custom"}
PAPER_SPLIT = "unix 9:5"  # PAPER: Tables 3 and 4
# Further splits of a Uni-X sweep, beside the first one's colour.
SPLIT_COLORS = ("#D55E00", "#8C3D00", "#F0A070", "#5C2A00", "#FFC9A3")
TEXT_COLORS = ("#332288", "#6F63B5", "#A9A2D6")
IMAGE_COLORS = ("#B8860B", "#DDAA33", "#F0CF87")
GREY, LIGHT_GREY = "#555555", "#BBBBBB"
CORRECT_COLOR = "#009E73"

plt.rcParams.update(
    {
        "font.family": "DejaVu Sans",
        "font.size": 8.0,
        "axes.titlesize": 9.0,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelsize": 8.0,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.7,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#E6E6E6",
        "grid.linewidth": 0.6,
        "xtick.labelsize": 7.5,
        "ytick.labelsize": 7.5,
        "xtick.major.width": 0.7,
        "ytick.major.width": 0.7,
        "legend.frameon": False,
        "legend.fontsize": 7.5,
        "lines.linewidth": 1.5,
        "lines.markersize": 4.0,
        "pdf.fonttype": 42,
        "svg.hashsalt": "unix",  # else the names of its parts are drawn by chance
    }
)


@dataclass(frozen=True)
class Drawing:
    """A figure and the observations in it."""

    table: pd.DataFrame
    figure: Figure


def preset_of(architecture: str) -> str:
    """`unix 2:1` -> `unix`."""
    return architecture.partition(" ")[0]


def architecture_name(architecture: str) -> str:
    """`unix 2:1` -> `Uni-X 2:1`."""
    preset, _, rest = architecture.partition(" ")
    return f"{ARCHITECTURE_NAMES.get(preset, preset)} {rest}".strip()


def ordered_architectures(names: "pd.Series[str]") -> list[str]:
    """Architectures in the order in which figures list them: shared, Uni-X, MoT, MoE, others."""
    order = list(ARCHITECTURE_COLORS)

    def place(name: str) -> tuple[int, list[int], str]:
        preset = preset_of(name)
        numbers = [int(number) for number in re.findall(r"\d+", name)]
        return (order.index(preset) if preset in order else len(order)), numbers, name

    return sorted(names.dropna().unique(), key=place)


def compared_unix(names: list[str]) -> str | None:
    """The split that stands for Uni-X beside other architectures: the paper's where it is there, else the first."""
    splits = [name for name in names if preset_of(name) == "unix"]
    return PAPER_SPLIT if PAPER_SPLIT in splits else next(iter(splits), None)


def architecture_colors(names: list[str]) -> dict[str, str]:
    """A colour per architecture, the same in every figure; the splits of a sweep get shades."""
    shades = cycle(SPLIT_COLORS)
    presets = {name: preset_of(name) for name in names}
    return {
        name: next(shades) if preset == "unix" else ARCHITECTURE_COLORS.get(preset, GREY)
        for name, preset in presets.items()
    }


def marker_of(architecture: str) -> str:
    """A marker per architecture, so that lines can be told apart without colour."""
    return ARCHITECTURE_MARKERS.get(preset_of(architecture), "o")


def empty_axes(axes: Axes, text: str) -> None:
    """Say in place of a panel why it is empty."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color=GREY, wrap=True)


def nothing_yet(what: str) -> Figure:
    """A figure that says what it is waiting for."""
    figure, axes = plt.subplots(figsize=(7.0, 2.0))
    empty_axes(axes, f"Nothing to draw yet: {what}")
    return figure


def missing_note(missing: list[str]) -> str:
    """One sentence on what is not there yet; names without digests, many of a kind counted."""
    if not missing:
        return ""
    names = sorted({artefact.split("/")[-1].rsplit("-", 1)[0] for artefact in missing})
    shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    return f"PREVIEW, not finished yet: {shown}."


def save(drawing: Drawing, folder: Path, name: str, scale: str, missing: list[str]) -> dict[str, int | None]:
    """Write `<name>.csv`, `.png`, `.pdf` and `.svg`; returns file name -> rows, as a manifest wants it.

    The scale of the experiment, and what is missing, stand below every figure.
    """
    _footer(drawing.figure, [f"Scale: {scale}.", missing_note(missing)])
    _settle(drawing.figure)
    with atomic_path(folder / f"{name}.csv") as path:
        drawing.table.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
    with atomic_path(folder / f"{name}.png") as path:
        drawing.figure.savefig(path, format="png", dpi=PNG_DPI)
    # Without a date the same figure gives the same bytes.
    for form, date in (("pdf", "CreationDate"), ("svg", "Date")):
        with atomic_path(folder / f"{name}.{form}") as path:
            drawing.figure.savefig(path, format=form, metadata={date: None})
    plt.close(drawing.figure)
    return {f"{name}.csv": len(drawing.table), f"{name}.png": None, f"{name}.pdf": None, f"{name}.svg": None}


def _settle(figure: Figure) -> None:
    """Lay the figure out once and for all.

    The solver behind the constrained layout gives places that differ in their last bit from call to call.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        left, bottom, width, height = (round(side, PLACES_DIGITS) for side in axes.get_position().bounds)
        axes.set_position((left, bottom, width, height))


def _footer(figure: Figure, sentences: list[str]) -> None:
    """Put sentences below everything, wrapped, and shrink the axes' room to make place for them."""
    width, height = figure.get_size_inches()
    lines = [line for sentence in sentences for line in wrap(sentence, int(width * FOOTER_CHARACTERS_PER_INCH))]
    room = FOOTER_LINE_INCHES * (len(lines) + 0.5)
    figure.set_size_inches(width, height + room)
    share = room / (height + room)
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(rect=(0, share, 1, 1 - share))
    else:
        for axes in figure.axes:
            left, bottom, wide, high = axes.get_position().bounds
            axes.set_position((left, share + bottom * (1 - share), wide, high * (1 - share)))
    figure.text(0.012, share - 0.04 / (height + room), "\n".join(lines), ha="left", va="top", fontsize=6.5, color=GREY)
