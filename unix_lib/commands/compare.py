"""`compare`: two experiments or commits held against each other, in tables, pictures and CSV."""

import tempfile
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from unix_lib.commands.experiment import PlannedExperiment
from unix_lib.commands.marks import marked
from unix_lib.compare.differences import claim_table, score_differences, table_differences
from unix_lib.compare.pictures import draw_conflict, draw_differences
from unix_lib.compare.settings import settings_table
from unix_lib.compare.side import Side
from unix_lib.figures.style import save
from unix_lib.recipes.workspace import PLANNED, planned_digests, read_digests
from unix_lib.versioning.pipeline import DEFAULT
from unix_lib.versioning.revisions import bring

MOST_ROWS = 40  # of a table on the screen
LOSSES = ["architecture", "seed", "step", "source", "modality"]
CONFLICT = ["architecture", "projection", "layer"]
ENTROPIES = ["source", "modality", "order", "estimate"]


def run(a: str, b: str, output: Path | None, console: Console) -> int:
    """Say what differs in settings, then in results, and write it all to a folder.

    Raises:
        UserError: one of them is nothing that can be compared.
    """
    folder = output or Path("results") / "compared" / f"{_plain(a)}-{_plain(b)}"
    with tempfile.TemporaryDirectory() as temporary:
        sides, notes = [], []
        for place, what in (("A", a), ("B", b)):
            side, missing = _side(f"{place} ({what})", what, Path(temporary) / place)
            sides.append(side)
            notes += missing
            console.print(f"{side.name}: {len(side.artefacts)} artefacts", highlight=False)
        one, other = sides
        found = (
            settings_table(one, other),
            score_differences(one, other),
            table_differences(one, other, "heldout_loss", LOSSES),
            table_differences(one, other, "gradient_conflict", CONFLICT),
            table_differences(one, other, "conditional_entropy", ENTROPIES),
            claim_table(one, other),
        )
    settings, scores, losses, conflict, entropies, claims = (table for table, _ in found)
    notes += [note for _, without in found for note in without]
    last_scores, last_losses = _last(scores, "step_a"), _last(losses, "step")
    _print(console, "What they were asked for differently", settings)
    _print(console, "Scores of the last checkpoints that both have", last_scores.drop(columns="metric"))
    _print(console, "Held-out losses of the last checkpoints that both have, nats a token", last_losses)
    _print(console, "Gradient conflict, mean of all projections", conflict[conflict.projection == "mean"])
    _print(console, "Conditional entropies, bits", entropies)
    _print(console, "Verdicts on the paper's claims", claims.drop(columns=claims.filter(regex="^(low|high)").columns))
    for note in notes:
        console.print(marked("without", "yellow", note), soft_wrap=True, highlight=False)
    folder.mkdir(parents=True, exist_ok=True)
    scale = f"A is {a}, B is {b}"
    for table, shown, label, quantity, name in (
        (scores, last_scores, ["benchmark", "architecture", "step_a", "step_b"], "score", "scores"),
        (losses, last_losses, ["source", "modality", "architecture", "step"], "nats a token", "heldout_loss"),
        (entropies, entropies, ENTROPIES, "bits", "entropies"),
    ):
        save(draw_differences(table, shown, label, quantity), folder, name, scale, [])
    save(draw_conflict(conflict), folder, "conflict", scale, [])
    for name, table in (("settings", settings), ("claims", claims)):
        table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    console.print(f"{folder}/: the whole tables as CSV, and pictures", highlight=False)
    return 0


def _side(name: str, what: str, copied_to: Path) -> tuple[Side, list[str]]:
    """A config, a results folder, or a git revision, with an experiment behind a colon where it is not the default."""
    path = Path(what)
    if path.suffix in (".yaml", ".yml"):
        experiment = PlannedExperiment.load(path)
        return Side(name, experiment.results, planned_digests(experiment.plan)), []
    if path.is_dir():
        return Side(name, path, read_digests(path) if (path / PLANNED).is_file() else None), []
    revision, _, experiment_name = what.partition(":")
    copied_to.mkdir()
    planned, notes = bring(revision, Path(experiment_name or DEFAULT).stem, copied_to)
    return Side(name, copied_to, planned), notes


def _plain(what: str) -> str:
    return "".join(each if each.isalnum() or each in "._~" else "_" for each in what.removeprefix("results/"))


def _last(table: pd.DataFrame, step: str) -> pd.DataFrame:
    """An architecture's rows at the last of its steps."""
    return table[table[step] == table.groupby("architecture")[step].transform("max")] if len(table) else table


def _print(console: Console, title: str, table: pd.DataFrame) -> None:
    """A table on the screen, a difference and its interval in one column; what is too long is in the CSV."""
    if table.empty:
        console.print(f"{title}: nothing", highlight=False)
        return
    if "low" in table:
        bounds = zip(table.difference, table.low, table.high, strict=True)
        known = [f"{value:+.3g} [{low:+.3g}, {high:+.3g}]" for value, low, high in bounds]
        place = table.columns.get_loc("difference")
        table = table.drop(columns=["difference", "low", "high"])
        table.insert(place, "B - A [95% interval]", known)
    shown = Table(title=title, title_justify="left")
    for column in table:
        number = pd.api.types.is_numeric_dtype(table[column])
        name = str(column).replace("_", " ")
        shown.add_column(name, justify="right" if number else "left", no_wrap=name.startswith("B - A"))
    for row in table.head(MOST_ROWS).itertuples(index=False):
        shown.add_row(*[_cell(value) for value in row])
    console.print(shown)
    if len(table) > MOST_ROWS:
        console.print(f"... and {len(table) - MOST_ROWS} rows in the CSV", highlight=False)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.4g}"
    return str(value)
