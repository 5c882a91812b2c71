"""`planned`: write which artefacts a config asks for now to `results/<experiment>/planned.json`."""

from pathlib import Path

from rich.console import Console

from unix_lib.commands.experiment import PlannedExperiment
from unix_lib.recipes.workspace import PLANNED


def run(config: Path, console: Console) -> int:
    """Write it where it changes, and what goes with a plan: what DVC leaves out, links, how checkpoints are sampled."""
    experiment = PlannedExperiment.load(config)
    experiment.write_plan()
    console.print(f"{len(experiment.plan.jobs)} artefacts: {experiment.results / PLANNED}", highlight=False)
    return 0
