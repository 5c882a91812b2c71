"""Table 4 of the paper: where to cut Uni-X, by the mean score of every split N:M that was trained.

Of the published table only the winner is known, 9:5 of 28 layers.
"""

import pandas as pd

from unix_lib.config.figures import DrawnFigure
from unix_lib.figures.drawn_table import Section, TextTable, draw_table
from unix_lib.figures.family_means import FAMILIES, family_means
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.published import BEST_SPLIT, SECOND_HAND
from unix_lib.figures.style import Drawing, architecture_name, ordered_architectures, preset_of

DASH = "–"
COLUMNS = [
    *("origin", "certainty", "model", "family", "value", "standard_error", "low", "high", "n", "seeds", "tokens"),
]


def draw(inputs: Inputs, settings: DrawnFigure) -> Drawing:
    """Draw the table."""
    means = family_means(inputs)
    means = means[means.architecture.map(preset_of).isin(["unix", "shared"])] if len(means) else means
    published = {
        "origin": "published",
        "certainty": BEST_SPLIT.certainty,
        "model": BEST_SPLIT.model,
        "family": "mean",
        "value": BEST_SPLIT.values[0],
    }
    measured = means.assign(origin="measured", certainty="measured", model=means.architecture.map(architecture_name))
    for name in ("value", "standard_error", "low", "high"):
        measured[name] = 100.0 * measured[name]
    table = pd.concat([pd.DataFrame([published]), measured], ignore_index=True).reindex(columns=COLUMNS)
    keys = (*FAMILIES, "mean")
    lines = []
    for name in ordered_architectures(measured.architecture):
        rows = measured[measured.architecture == name].set_index("family")
        label = "0:0 (shared)" if name == "shared" else architecture_name(name)
        cells = [f"{rows.value[k]:.1f} ± {rows.standard_error[k]:.1f}" if k in rows.index else DASH for k in keys]
        lines.append([label, *cells])
    splits = sum(preset_of(name) == "unix" for name in measured.architecture.unique())
    mark = " (?)" if BEST_SPLIT.certainty == SECOND_HAND else ""
    sections = [
        Section("published", [[BEST_SPLIT.model + mark, *([DASH] * len(keys))]]),
        Section("measured here", lines or [["nothing evaluated yet", *([DASH] * 4)]]),
    ]
    notes = ["Percent, value ± standard error. (?) second-hand."]
    if splits < 2:
        notes.append(f"This experiment trains {splits} split{'s' * (splits != 1)}: no sweep to find the best of.")
    text = TextTable("Table 4: splits N:M of Uni-X", ["split", *keys], sections, notes=notes)
    return Drawing(table, draw_table(text))
