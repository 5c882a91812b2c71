"""The curves of a forecast: power over the true difference, and the smallest difference over seeds, or over samples."""

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from unix_lib.figures.evidence import POWER
from unix_lib.figures.style import Drawing, nothing_yet
from unix_lib.power.forecast import PartForecast
from unix_lib.power.variances import unit_of

SEEDS = (2, 3, 4, 5, 6, 8, 10, 12)
SAMPLES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # times those planned
POINTS = 31  # of a curve over the difference, up to twice what is decided
OVER_DIFFERENCE, OVER_SEEDS, OVER_SAMPLES = "power over difference", "least over seeds", "least over samples"
COLUMNS = ["outcome", "part", "unit", "curve", "seeds", "samples", "difference", "power", "variance"]


def curve_table(parts: list[PartForecast]) -> pd.DataFrame:
    """`COLUMNS` of the parts of which a variance is known; `samples` are times those planned."""
    return pd.DataFrame([row for part in parts for row in _rows(part)], columns=COLUMNS)


def draw_curves(table: pd.DataFrame) -> Drawing:
    """A row of panels for each outcome; parts whose curves are alike share a line."""
    if table.empty:
        return Drawing(table, nothing_yet("no finished experiment says how far such an outcome varies"))
    outcomes = list(dict.fromkeys(table.outcome))
    figure, panels = plt.subplots(
        len(outcomes), 2, figsize=(7.6, 0.6 + 2.1 * len(outcomes)), layout="constrained", squeeze=False
    )
    for (left, right), outcome in zip(panels, outcomes, strict=True):
        rows = table[table.outcome == outcome]
        unit = rows.unit.iloc[0]
        of_curves = dict(tuple(rows.groupby("curve", sort=False)))
        _lines(left, of_curves.pop(OVER_DIFFERENCE), "difference", "power")
        left.axhline(POWER, color="0.3", linewidth=0.8, linestyle="--")
        left.set(xlabel=f"true difference ({unit})", ylabel="power", ylim=(0, 1))
        left.set_title(f"Claim {outcome}" if outcome.isdigit() else outcome.capitalize())
        left.legend()
        for curve, of_curve in of_curves.items():
            over = "seeds" if curve == OVER_SEEDS else "samples"
            _lines(right, of_curve, over, "difference")
            right.set(xlabel="seeds" if over == "seeds" else "times the planned samples", ylabel=f"least ({unit})")
            right.set_ylim(bottom=0)
        right.set_title("Decided in 80% of repetitions")
    return Drawing(table, figure)


def _rows(part: PartForecast) -> Iterator[dict[str, object]]:
    if part.variance is None:
        return
    design = part.design
    about = {"outcome": design.outcome, "part": part.name, "unit": unit_of(design.outcome)}
    about |= {"variance": part.variance.origin}
    seeds = design.two_seeds
    at = part.at(seeds)
    assert at is not None
    for difference in np.linspace(0, 2 * at.least, POINTS):
        known = {"curve": OVER_DIFFERENCE, "seeds": seeds or 0, "samples": 1.0}
        yield about | known | {"difference": float(difference), "power": at.power(float(difference))}
    places: list[tuple[str, int | None, float]] = [(OVER_SAMPLES, None, times) for times in SAMPLES]
    if seeds is not None:
        places = [(OVER_SEEDS, count, 1.0) for count in sorted({*SEEDS, seeds})]
    for curve, count, times in places:
        found = part.at(count, times)
        assert found is not None
        known = {"curve": curve, "seeds": count or 0, "samples": times}
        yield about | known | {"difference": found.least, "power": POWER}


def _lines(axes: Axes, table: pd.DataFrame, over: str, value: str) -> None:
    drawn: dict[tuple[float, ...], list[str]] = {}
    for part, rows in table.groupby("part", sort=False):
        drawn.setdefault(tuple(np.concatenate([rows[over], rows[value]]).round(9)), []).append(str(part))
    for points, parts in drawn.items():
        half = len(points) // 2
        label = parts[0] + (f" and {len(parts) - 1} more" if len(parts) > 1 else "")
        axes.plot(points[:half], points[half:], marker="" if half == POINTS else "o", label=label or "all")
