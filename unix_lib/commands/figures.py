"""`figures`: every figure of a config, drawn from the results that exist; takes no lock, so it works during a run."""

from pathlib import Path

from rich.console import Console

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import MANIFEST
from unix_lib.commands.experiment import PlannedExperiment
from unix_lib.commands.marks import marked
from unix_lib.commands.unexpected import in_one_line
from unix_lib.config.figures import DrawnFigure
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.make import draw_existing


def run(config: Path, console: Console) -> int:
    """Draw previews into `results/<experiment>/preview`; one that can't be drawn stops no other."""
    experiment = PlannedExperiment.load(config)
    folder = experiment.results / "preview"
    failed = 0
    for artefact in experiment.plan.of_stage("figures"):
        job = experiment.plan.jobs[artefact]
        assert isinstance(job.settings, DrawnFigure)
        missing = [name for name in job.recipe.upstream if not (experiment.results / name / MANIFEST).is_file()]
        roles = {role: [a for a in job.recipe.in_role(role) if a not in missing] for role in job.recipe.inputs}
        existing = {role: artefacts for role, artefacts in roles.items() if artefacts}
        figure = job.recipe.name
        if not existing:
            console.print(marked("waiting", "yellow", f"{figure}: none of its {len(missing)} inputs exists yet"))
            continue
        folder.mkdir(parents=True, exist_ok=True)
        try:
            draw_existing(job.settings, Inputs(experiment.results, existing, missing), folder)
        except Exception as error:  # whatever a kind of somebody's own raises
            failed += 1
            told = str(error) if isinstance(error, UserError) else in_one_line(error)
            console.print(marked("failed", "red", f"{figure}: {told}"), soft_wrap=True, highlight=False)
            continue
        without = f" without {len(missing)} inputs" if missing else ""
        console.print(marked("drawn", "green", f"{folder / figure}.png{without}"))
    return 1 if failed else 0
