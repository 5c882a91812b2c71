"""`summarize`: copy what belongs in git (scores, claims, figure tables) out of the results, and say where to look.

`results/<experiment>/summary/` is small and text only: a fresh clone shows the numbers of the last published
run, and `git diff` shows in what a new run differs from it.
"""

import csv
import json
import shutil
from collections import defaultdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from unix_lib.artefacts.files import atomic_path, write_json, write_text
from unix_lib.artefacts.manifest import MANIFEST, open_artefact, read_manifest
from unix_lib.artefacts.recipe import RECIPE
from unix_lib.commands.experiment import PlannedExperiment
from unix_lib.power.finished import inputs_of
from unix_lib.power.variances import TABLE as VARIANCES
from unix_lib.power.variances import variance_table
from unix_lib.recipes.plan import STAGES
from unix_lib.recipes.wall_times import wall_times_text
from unix_lib.recipes.workspace import link_current

METRICS = "metrics.json"  # the report's


def run(config: Path, console: Console) -> int:
    """Copy the tables of the finished figures and report, then print the claims and the paths."""
    experiment = PlannedExperiment.load(config)
    results, summary = experiment.results, experiment.results / "summary"
    link_current(experiment.plan, results)
    copied: set[str] = set()
    for artefact in experiment.plan.of_stage("figures", "report"):
        folder = results / artefact
        if not (folder / MANIFEST).is_file():
            continue
        for entry in open_artefact(folder).files:
            if entry.path != RECIPE and Path(entry.path).suffix in (".csv", ".json"):
                if entry.path == METRICS:
                    write_metrics(json.loads((folder / METRICS).read_text(encoding="utf-8")), summary / "metrics")
                else:
                    with atomic_path(summary / entry.path) as temporary:
                        shutil.copyfile(folder / entry.path, temporary)
                copied.add(entry.path)
    if not copied:
        console.print(f"Nothing to summarize yet: run `make run CONFIG={config}` first.")
        return 1
    # Measured wall time of every finished job: what `plan` estimates from on a machine that ran nothing yet.
    finished = [a for a in experiment.plan.targets(*STAGES) if (results / a / MANIFEST).is_file()]
    seconds = {a: read_manifest(results / a).provenance["wall_seconds"] for a in finished}
    write_text(summary / "wall_times.csv", wall_times_text(experiment.plan, seconds))
    # And how far outcomes varied: what `power` reckons from.
    with atomic_path(summary / VARIANCES) as temporary:
        table = variance_table(inputs_of(results))
        table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
    for path in summary.glob("*.*"):
        if path.name not in copied - {METRICS} | {"wall_times.csv", VARIANCES}:
            path.unlink()
    _print_claims(summary / "claims.csv", console)
    current = results / "current"
    console.print(f"Report:  {(current / 'report' / 'summary' / 'index.html')}")
    console.print(f"Figures: {current / 'figures'}/*/*.png (and .svg, .pdf, .csv)")
    console.print(f"Tables:  {summary}/ (kept in git)")
    return 0


def write_metrics(metrics: dict[str, float], folder: Path) -> None:
    """Write final scores as `dvc metrics show` makes a table of them: a file is a row, a benchmark a column.

    An architecture has two rows, `<architecture>/score.json` and below it `standard_error.json`; what was there
    before goes. `metrics` are the report's: `<benchmark>/<architecture>`, and that with `/standard_error`.
    """
    rows: dict[str, dict[str, float]] = defaultdict(dict)
    for name, value in metrics.items():
        benchmark, architecture, *of_error = name.split("/")
        rows[f"{architecture.replace(':', '-')}/{of_error[0] if of_error else 'score'}.json"][benchmark] = value
    shutil.rmtree(folder, ignore_errors=True)
    for path, scores in rows.items():
        write_json(folder / path, scores)


def _print_claims(path: Path, console: Console) -> None:
    if not path.is_file():
        return
    table = Table(title="Claims of the paper, in this experiment", title_justify="left")
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for heading in ("claim", "part", "verdict", "difference (95%)", "reason"):
        table.add_column(heading)
    for row in rows:
        numbers = [float(row[name]) for name in ("difference", "low", "high") if row[name]]
        interval = "{:.3g} [{:.3g}, {:.3g}]".format(*numbers) if len(numbers) == 3 else ""
        table.add_row(row["claim"], row["part"], row["verdict"], interval, row["reason"])
    console.print(table)
