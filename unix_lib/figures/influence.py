"""Table "influence": how far one held-out request moves the difference between Uni-X and another architecture."""

import pandas as pd

from unix_lib.config.figures import DrawnFigure
from unix_lib.figures.architecture_claims import pair_name
from unix_lib.figures.arms import Arm, arms_of
from unix_lib.figures.drawn_table import Section, TextTable, draw_table
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.samples import final_samples, prompt_values
from unix_lib.figures.score_comparison import compare_scores
from unix_lib.figures.style import Drawing, compared_unix, nothing_yet, ordered_architectures, preset_of

COLUMNS = ["origin", "part", "benchmark", "task", "request", "text", "points", "value", "n", "verdict"]
HEADING = ["", "task", "half-widths", "points", "images", ""]
MOST = 0.25  # of the half-width of a difference's interval, by a single request
SHOWN = 3  # requests of each difference; the CSV has all


def draw(inputs: Inputs, settings: DrawnFigure) -> Drawing:
    """Draw the table, most influential first; `value` is in half-widths of the difference's interval."""
    parts = [part for arm in arms_of(inputs) for part in _of_arm(arm)]
    if not parts:
        return Drawing(pd.DataFrame(columns=COLUMNS), nothing_yet("no images of Uni-X and another architecture"))
    table = pd.concat(parts, ignore_index=True)
    table = table.assign(origin="measured", verdict=["too much" if value > MOST else "" for value in table.value])
    sections = []
    for part, rows in table.groupby("part", sort=False):
        lines = [
            [row.text, row.task, f"{row.value:.2f}", f"{row.points:+.2f}", str(row.n), row.verdict]
            for row in rows.head(SHOWN).itertuples()
        ]
        sections.append(Section(f"{part} ({len(rows)} requests)", lines))
    notes = [
        "How far the difference of mean scores moves without a request: half-widths of its 95% interval, and points of "
        "the 100 from chance to all right.",
        f"A request with more than {MOST} half-widths could carry a verdict alone; there should be none.",
    ]
    text = TextTable("What hangs by one held-out request", HEADING, sections, frozenset({0, 1, 5}), notes=notes)
    return Drawing(table[COLUMNS], draw_table(text))


def _of_arm(arm: Arm) -> list[pd.DataFrame]:
    samples = final_samples(arm.inputs)
    names = ordered_architectures(samples.architecture)
    unix = compared_unix(names)
    found = [
        influences(samples, unix, other).assign(part=arm.named(pair_name(unix, other)))
        for other in names
        if unix is not None and preset_of(other) != "unix"
    ]
    return [each for each in found if len(each)]


def influences(samples: pd.DataFrame, unix: str, other: str) -> pd.DataFrame:
    """Of each request that images were drawn for, most influential first: `COLUMNS` from `benchmark` to `n`.

    A request is what was asked to be drawn, `text` one of its wordings. To first order: chances stay as they are.
    Empty where the two can't be compared.
    """
    values = prompt_values(samples[samples.architecture.isin([unix, other])])
    comparison = compare_scores(values, unix, other)
    drawn = values[(values.family == "generation") & values.chance.notna()]
    if comparison is None or drawn.empty:
        return pd.DataFrame(columns=COLUMNS[2:9])
    above = drawn.assign(above=drawn.value / (1 - drawn.groupby("benchmark").chance.transform("mean")))
    by_side = above.groupby(["benchmark", "stratum", "prompt", "architecture"]).above.mean().unstack("architecture")
    gained = (by_side[unix] - by_side[other]).dropna()
    strata = gained.groupby(level=["benchmark", "stratum"])
    count = strata.transform("size")
    moved = (strata.transform("mean") - gained) / (count - 1).where(count > 1)
    per_benchmark = gained.reset_index().groupby("benchmark").stratum.nunique()
    weight = per_benchmark.rdiv(1.0) / len(per_benchmark) / values.family.nunique()
    points = 100 * moved * gained.index.get_level_values("benchmark").map(weight)
    half = 100 * (comparison.difference.high - comparison.difference.low) / 2
    images = above.groupby(["benchmark", "stratum", "prompt"]).size().reindex(gained.index)
    table = pd.DataFrame({"points": points, "value": points.abs() / half, "n": images}).reset_index()
    table = table.rename(columns={"stratum": "task", "prompt": "request"})
    texts: dict[str, str] = {}
    for _, rows in samples[samples.family == "generation"].groupby("benchmark"):
        texts |= dict(zip(prompt_values(rows).prompt, rows.prompt, strict=True))
    table["text"] = table.request.map(texts)
    return table.sort_values("value", ascending=False, kind="stable", na_position="last")[COLUMNS[2:9]]
