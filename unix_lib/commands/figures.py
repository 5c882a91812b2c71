"""`figures`: every figure of a config, drawn from the results that exist; takes no lock, so it works during a run."""

from pathlib import Path

from rich.console import Console

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import MANIFEST
from unix_lib.commands.experiment import PlannedExperiment
from unix_lib.figures.make import draw_existing


def run(config: Path, console: Console) -> int:
    """Draw previews into `results/<experiment>/preview`; one that can't be drawn stops no other."""
    experiment = PlannedExperiment.load(config)
    folder = experiment.results / "preview"
    folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    for artefact in experiment.plan.of_stage("figures"):
        recipe = experiment.plan.jobs[artefact].recipe
        existing: dict[str, list[str]] = {}
        missing: dict[str, list[str]] = {}
        for role, value in recipe.inputs.items():
            for name in [value] if isinstance(value, str) else value:
                found = (experiment.results / name / MANIFEST).is_file()
                (existing if found else missing).setdefault(role, []).append(name)
        absent = sum(len(names) for names in missing.values())
        if not existing:
            console.print(f"[yellow]waiting[/] {recipe.name}: none of its {absent} inputs exists yet")
            continue
        try:
            draw_existing(recipe.name, experiment.results, existing, missing, folder, recipe.settings["scale"])
        except UserError as error:
            failed += 1
            console.print(f"[red]failed[/] {recipe.name}: {error}", soft_wrap=True, highlight=False)
            continue
        console.print(f"[green]drawn[/] {folder / recipe.name}.png" + (f" without {absent} inputs" if absent else ""))
    return 1 if failed else 0
