"""Figure "dose and response": conflict over depth at each dose, conflict and Uni-X's score difference over the dose."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from unix_lib.analyze.attenuation import LEAST_RELIABILITY
from unix_lib.config.figures import DrawnFigure
from unix_lib.evaluate.intervals import margin_of_mean
from unix_lib.figures.doses import Dose, conflict_slope, doses_of, score_slope
from unix_lib.figures.evidence import Difference
from unix_lib.figures.gradient_conflict import summarize
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.style import (
    ARCHITECTURE_COLORS,
    ARCHITECTURE_MARKERS,
    ARCHITECTURE_NAMES,
    GREY,
    LIGHT_GREY,
    Drawing,
    empty_axes,
    nothing_yet,
    preset_of,
)

PRESETS = ("shared", "unix")
DEPTH, CONFLICT, SCORE = "conflict over depth", "conflict", "score difference"
COLUMNS = [
    *("origin", "outcome", "dose", "gap", "gap_low", "gap_high", "architecture", "layer", "seed", "value"),
    *("low", "high", "reliability", "n"),
]


def draw(inputs: Inputs, settings: DrawnFigure) -> Drawing:
    """Draw the figure; a seed's values have no interval, means over seeds have no `seed`."""
    doses = doses_of(inputs)
    rows = [row for dose in doses for row in (*_depths(dose), *_conflicts(dose), *_scores(dose))]
    table = pd.DataFrame(rows, columns=COLUMNS)
    if table.empty:
        return Drawing(table, nothing_yet("neither conflict nor scores of Uni-X and the shared transformer"))
    figure, panels = plt.subplots(2, 2, figsize=(7.6, 6.2), layout="constrained")
    for axes, preset, letter in zip(panels[0], PRESETS, "ab", strict=True):
        axes.set_title(f"{letter}  {ARCHITECTURE_NAMES[preset]}: conflict over depth")
        _draw_depth(axes, table[(table.outcome == DEPTH) & (table.architecture.map(preset_of) == preset)], doses)
    panels[1, 0].set_title("c  Conflict over the entropy gap")
    of_conflict = table[table.outcome == CONFLICT]
    for preset in PRESETS:
        _draw_over_gap(
            panels[1, 0], of_conflict[of_conflict.architecture == preset], preset, conflict_slope(doses, preset), ""
        )
    panels[1, 0].set_ylabel("conflict corrected for noise")
    panels[1, 1].set_title("d  Uni-X minus shared over the entropy gap")
    panels[1, 1].axhline(0, color="0.3", linewidth=0.8)
    _draw_over_gap(panels[1, 1], table[table.outcome == SCORE], "unix", score_slope(doses), " points")
    panels[1, 1].set_ylabel("score difference (points above chance)")
    for axes in panels[1]:
        if not axes.containers:
            empty_axes(axes, "not measured yet")
            continue
        axes.axvline(0, color=LIGHT_GREY, linestyle=":")
        axes.set_xlabel("image codes minus text, $H_2$ (bits)")
        axes.legend()
    return Drawing(table, figure)


def _about(dose: Dose, outcome: str) -> dict[str, object]:
    gap: dict[str, object] = (
        {} if dose.gap is None else {"gap": dose.gap.value, "gap_low": dose.gap.low, "gap_high": dose.gap.high}
    )
    return {"origin": "measured", "outcome": outcome, "dose": dose.name} | gap


def _depths(dose: Dose) -> list[dict[str, object]]:
    """Corrected conflict of each shared layer, over projections, checkpoints and seeds."""
    if dose.conflict.empty or not dose.conflict.shared.any():
        return []
    table = summarize(dose.conflict)
    table = table[(table.projection == "mean") & table.architecture.map(preset_of).isin(PRESETS)]
    table = table.assign(reliability=table[["s_text", "s_image"]].min(axis=1), value=table.corrected)
    kept = ["architecture", "layer", "value", "reliability", "n"]
    return [_about(dose, DEPTH) | row for row in table[kept].to_dict("records")]


def _conflicts(dose: Dose) -> list[dict[str, object]]:
    rows = []
    for preset in PRESETS:
        by_seed = dose.conflict_by_seed(preset)
        if len(by_seed):
            about = _about(dose, CONFLICT) | {"architecture": preset, "n": int(dose.conflict.documents.min())}
            rows += _seeds_and_mean(about, by_seed.to_numpy(), list(by_seed.index))
    return rows


def _scores(dose: Dose) -> list[dict[str, object]]:
    """Each seed's difference; the mean's interval is that of claim 4, of prompts and seeds."""
    comparison = dose.comparison
    if comparison is None:
        return []
    about = _about(dose, SCORE) | {"architecture": " minus ".join(dose.sides or ()), "n": comparison.difference.n}
    *single, mean = _seeds_and_mean(about, 100 * comparison.by_seed, comparison.seeds)
    bounds = {side: 100 * getattr(comparison.difference, side) for side in ("low", "high")}
    return [*single, mean | bounds]


def _seeds_and_mean(about: dict[str, object], values: np.ndarray, seeds: list[int]) -> list[dict[str, object]]:
    """A row per seed, and their mean with Student's interval."""
    rows = [about | {"seed": seed, "value": float(value)} for seed, value in zip(seeds, values, strict=True)]
    mean, reach = float(values.mean()), margin_of_mean(values)
    over_seeds = Difference(mean, mean - reach, mean + reach, len(values), len(values))
    return [*rows, about | {"value": mean, "low": over_seeds.low, "high": over_seeds.high}]


def _draw_depth(axes: Axes, table: pd.DataFrame, doses: list[Dose]) -> None:
    if table.empty:
        empty_axes(axes, "no conflict measured")
        return
    shades = plt.get_cmap("viridis")(np.linspace(0.05, 0.85, len(doses)))
    for dose, color in zip(doses, shades, strict=True):
        rows = table[table.dose == dose.name].sort_values("layer")
        known = "" if dose.gap is None else f" ({dose.gap.value:+.1f} bits)"
        sure = rows.value.mask(rows.reliability < LEAST_RELIABILITY)
        axes.plot(rows.layer, sure, color=color, marker="o", label=f"{dose.name}{known}")
        noisy = rows.value.where(rows.reliability < LEAST_RELIABILITY)
        axes.plot(rows.layer, noisy, color=color, marker="o", markerfacecolor="white", linestyle="none")
    axes.axhline(1, color="0.3", linewidth=0.8, linestyle="--")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="layer (hollow: mostly noise)", ylabel="conflict corrected for noise")
    axes.legend()


def _draw_over_gap(axes: Axes, table: pd.DataFrame, preset: str, slope: Difference | None, unit: str) -> None:
    """Seeds as small points, their means with intervals, and the line."""
    table = table.dropna(subset=["gap"])
    if table.empty:
        return
    color, marker = ARCHITECTURE_COLORS[preset], ARCHITECTURE_MARKERS[preset]
    single, means = table[table.seed.notna()], table[table.seed.isna()]
    axes.plot(single.gap, single.value, marker, color=color, alpha=0.4, markersize=2.5, linestyle="none")
    reach = np.nan_to_num(np.abs(means[["low", "high"]].to_numpy(dtype=float).T - means.value.to_numpy(dtype=float)))
    label = ARCHITECTURE_NAMES[preset] + ("" if slope is None else f": {slope}{unit}/bit")
    axes.errorbar(means.gap, means.value, reach, fmt=marker, color=color, elinewidth=1, capsize=2, label=label)
    if slope is not None:
        ends = np.array([means.gap.min(), means.gap.max()])
        axes.plot(ends, single.value.mean() + slope.value * (ends - single.gap.mean()), color=GREY, linewidth=1)
