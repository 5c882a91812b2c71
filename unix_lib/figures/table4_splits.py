"""Table 4 of the paper: where to cut Uni-X, by the mean score of every split N:M that was trained.

Of the published table only the winner is known, 9:5 of 28 layers.
"""

import pandas as pd

from unix_lib.config.figures import DrawnFigure
from unix_lib.figures.drawn_table import DASH, Section, TextTable, draw_table, nothing_evaluated
from unix_lib.figures.family_means import family_means, left_out_notes, mean_cells, shown_means
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.published import BEST_SPLIT
from unix_lib.figures.samples import blind_answers, blind_notes, final_samples
from unix_lib.figures.style import Drawing, architecture_name, ordered_architectures, preset_of

COLUMNS = [
    *("origin", "certainty", "model", "family", "value", "standard_error", "low", "high", "n", "seeds", "tokens"),
]


def draw(inputs: Inputs, settings: DrawnFigure) -> Drawing:
    """Draw the table."""
    measured = family_means(inputs)
    measured = measured[measured.architecture.map(preset_of).isin(["unix", "shared"])]
    published = {
        "origin": "published",
        "certainty": BEST_SPLIT.certainty,
        "model": BEST_SPLIT.model,
        "family": "mean",
        "value": BEST_SPLIT.values[0],
    }
    table = pd.concat([pd.DataFrame([published]), measured], ignore_index=True).reindex(columns=COLUMNS)
    keys = shown_means(measured)
    lines = []
    for name in ordered_architectures(measured.architecture):
        label = "0:0 (shared)" if name == "shared" else architecture_name(name)
        lines.append([label, *mean_cells(measured, name, keys)])
    splits = sum(preset_of(name) == "unix" for name in measured.architecture.unique())
    sections = [
        Section("published", [[BEST_SPLIT.marked, *([DASH] * len(keys))]]),
        Section("measured here", lines or nothing_evaluated(len(keys) + 1)),
    ]
    notes = ["Percent, value ± standard error. (?) second-hand."]
    if splits < 2:
        notes.append(f"This experiment trains {splits} split{'s' * (splits != 1)}: no sweep to find the best of.")
    samples = final_samples(inputs)
    notes += left_out_notes(inputs)
    notes += blind_notes(blind_answers(samples[samples.architecture.isin(measured.architecture)]))
    text = TextTable("Table 4: splits N:M of Uni-X", ["split", *keys], sections, notes=notes)
    return Drawing(table, draw_table(text))
