"""A table as a figure: rules above and below, sections, right-aligned numbers; what goes in is text."""

from dataclasses import dataclass, field
from textwrap import wrap

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unix_lib.figures.style import GREY

ROW_INCHES = 0.2
LINE_INCHES = 0.135  # between the lines of a cell
BASELINE_INCHES = 0.14  # from a row's top to its first baseline
CHARACTER_INCHES = 0.066
NOTE_CHARACTER_INCHES = 0.058
LEAST_WIDTH_INCHES = 4.5
COLUMN_GAP_INCHES = 0.16
MARGIN_INCHES = 0.12
LEAST_SHOWN_ERROR = 0.05  # with one digit behind the point
DASH = "–"  # in a cell without a value


def with_error(value: float, error: float) -> str:
    """A cell with a value and its standard error; without the error where it is not known."""
    digits = ".1f" if not error < LEAST_SHOWN_ERROR else ".1g"  # never "± 0.0"
    return f"{value:.1f} ± {error:{digits}}" if error > 0 else f"{value:.1f}"  # NaN is not above 0


@dataclass(frozen=True)
class Section:
    """Rows below a heading."""

    heading: str
    rows: list[list[str]]


@dataclass(frozen=True)
class TextTable:
    """What is drawn; a cell may have several lines.

    Attributes:
        left: columns aligned left (the others to the right).
        cell_colors: (section, row, column) -> text colour.
        notes: lines below the table.
    """

    title: str
    header: list[str]
    sections: list[Section]
    left: frozenset[int] = frozenset({0})
    cell_colors: dict[tuple[int, int, int], str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def draw_table(table: TextTable) -> Figure:
    """Draw a table, as large as its text needs."""
    lines = [table.header] + [row for section in table.sections for row in section.rows]
    widths = [
        max(max(len(part) for part in row[column].split("\n")) for row in lines) * CHARACTER_INCHES + COLUMN_GAP_INCHES
        for column in range(len(table.header))
    ]
    heights = [ROW_INCHES * 1.5, _height(table.header)]
    for section in table.sections:
        heights += [ROW_INCHES * 1.25] + [_height(row) for row in section.rows]
    width = max(sum(widths), LEAST_WIDTH_INCHES) + 2 * MARGIN_INCHES
    notes = [line for note in table.notes for line in wrap(note, int((width - MARGIN_INCHES) / NOTE_CHARACTER_INCHES))]
    heights += [ROW_INCHES * 0.8] * len(notes)
    height = sum(heights) + 2 * MARGIN_INCHES
    figure = plt.figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    right_edge = MARGIN_INCHES + sum(widths)
    y = height - MARGIN_INCHES
    axes.text(MARGIN_INCHES, y, table.title, va="top", fontsize=9.5, fontweight="bold")
    y -= heights[0]
    _rule(axes, y, right_edge, 1.1)
    _row(axes, table.header, y, widths, table.left, weight="bold")
    y -= _height(table.header)
    _rule(axes, y, right_edge, 0.6)
    for number, section in enumerate(table.sections):
        if number:
            _rule(axes, y, right_edge, 0.4)
        y -= ROW_INCHES * 1.25
        axes.text(MARGIN_INCHES, y + ROW_INCHES * 0.35, section.heading, fontsize=7.5, style="italic", color=GREY)
        for line, row in enumerate(section.rows):
            colors = {column: table.cell_colors.get((number, line, column), "black") for column in range(len(row))}
            _row(axes, row, y, widths, table.left, colors=colors)
            y -= _height(row)
    _rule(axes, y, right_edge, 1.1)
    for note in notes:
        y -= ROW_INCHES * 0.8
        axes.text(MARGIN_INCHES, y + ROW_INCHES * 0.1, note, fontsize=6.8, color=GREY)
    return figure


def nothing_evaluated(columns: int) -> list[list[str]]:
    """The rows of a section without any."""
    return [["nothing evaluated yet", *([DASH] * (columns - 1))]]


def _height(row: list[str]) -> float:
    return ROW_INCHES + LINE_INCHES * max(cell.count("\n") for cell in row)


def _rule(axes: Axes, y: float, right: float, width: float) -> None:
    axes.plot([MARGIN_INCHES, right], [y, y], color="black", linewidth=width, solid_capstyle="butt")


def _row(
    axes: Axes,
    row: list[str],
    y: float,
    widths: list[float],
    left: frozenset[int],
    *,
    weight: str = "normal",
    colors: dict[int, str] | None = None,
) -> None:
    x = MARGIN_INCHES
    for column, cell in enumerate(row):
        at_left = column in left
        for number, line in enumerate(cell.split("\n")):  # a baseline per line: letters' heights don't shift it
            axes.text(
                x + (0.02 if at_left else widths[column] - COLUMN_GAP_INCHES / 2),
                y - BASELINE_INCHES - number * LINE_INCHES,
                line,
                ha="left" if at_left else "right",
                va="baseline",
                fontsize=7.5,
                fontweight=weight,
                color=(colors or {}).get(column, "black"),
            )
        x += widths[column]
