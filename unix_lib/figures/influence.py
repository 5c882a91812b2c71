"""Table "influence": how far one held-out request moves the difference between Uni-X and another architecture."""

import json

import numpy as np
import pandas as pd

from unix_lib.artefacts.files import canonical_json
from unix_lib.config.figures import DrawnFigure
from unix_lib.evaluate.geneval import requirement
from unix_lib.figures.architecture_claims import pair_name
from unix_lib.figures.arms import Arm, arms_of
from unix_lib.figures.drawn_table import DASH, Section, TextTable, draw_table
from unix_lib.figures.family_means import FAMILIES
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
            [row.text, row.task, *_cells(row.value, row.points), str(row.n), row.verdict]
            for row in rows.head(SHOWN).itertuples()
        ]
        sections.append(Section(f"{part} ({len(rows)} requests)", lines))
    notes = [
        "How far the difference of mean scores over all benchmarks, told from chance or not, moves without a request: "
        "half-widths of its 95% interval, and points of the 100 from chance to all right.",
        f"A request with more than {MOST} half-widths could carry a verdict alone; there should be none.",
    ]
    text = TextTable("What hangs by one held-out request", HEADING, sections, frozenset({0, 1, 5}), notes=notes)
    return Drawing(table[COLUMNS], draw_table(text))


def _cells(value: float, points: float) -> list[str]:
    """Half-widths and points; the only request of a benchmark, and an interval that is not known, leave none."""
    return [DASH if np.isnan(value) else f"{value:.2f}", DASH if np.isnan(points) else f"{points:+.2f}"]


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

    A request is what was asked to be drawn, `text` one of its wordings; a task that asks for nothing else goes with it.
    Of the seeds and benchmarks that both have, as `compare_scores` takes them. To first order: chances stay as they
    are, and a score below chance counts as it is. Empty where the two can't be compared.
    """
    samples = samples[samples.architecture.isin([unix, other])]
    values = prompt_values(samples)
    comparison = compare_scores(values, unix, other)
    if comparison is None:
        return pd.DataFrame(columns=COLUMNS[2:9])
    compared = values.seed.isin(comparison.seeds) & values.benchmark.isin([*comparison.heard, *comparison.silent])
    drawn = values[compared & (values.family == "generation") & values.chance.notna()]
    asked = _requests(samples[samples.family == "generation"])
    drawn = drawn.assign(
        above=drawn.value / (1 - drawn.groupby("benchmark").chance.transform("mean")),
        request=drawn.prompt.map(asked.request),
    )
    prompts = ["benchmark", "stratum", "request", "prompt"]
    by_run = drawn.pivot_table(index=prompts, columns=["architecture", "seed"], values="above").dropna()
    gained = by_run[unix].mean(axis=1) - by_run[other].mean(axis=1)
    drawn = drawn[drawn.set_index(prompts).index.isin(gained.index)]
    half = (comparison.difference.high - comparison.difference.low) / 2
    weight = 1 / drawn.benchmark.nunique() / len(FAMILIES)
    rows = []
    for (benchmark, task, request), images in drawn.groupby(prompts[:3]):
        of_tasks = gained.loc[[benchmark]].groupby("stratum").mean()
        rest = gained.loc[[benchmark]].loc[lambda one: ~one.index.isin([request], level="request")]  # noqa: B023
        moved = weight * (rest.groupby("stratum").mean().mean() - of_tasks.mean())
        text = asked.text[images.prompt.iloc[0]]
        rows.append([benchmark, task, request, text, 100 * moved, abs(moved) / half, len(images)])
    table = pd.DataFrame(rows, columns=COLUMNS[2:9])
    return table.sort_values("value", ascending=False, kind="stable", na_position="last")


def _requests(samples: pd.DataFrame) -> pd.DataFrame:
    """By prompt as `prompt_values` labels it: what it asks for, and its first wording."""
    parts = []
    for _, rows in samples.groupby("benchmark"):
        request = [
            canonical_json([row.task, requirement(json.loads(row.answer))]) if row.answer else row.prompt
            for row in rows.itertuples()
        ]
        parts.append(pd.DataFrame({"request": request, "text": rows.prompt}).set_index(prompt_values(rows).prompt))
    table = pd.concat(parts)
    return table[~table.index.duplicated()]
