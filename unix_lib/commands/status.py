"""`status`: what of an experiment is done, stage by stage, and what was set aside on the way."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import MANIFEST, read_manifest
from unix_lib.commands.experiment import PlannedExperiment
from unix_lib.recipes.plan import STAGES
from unix_lib.recipes.workspace import link_current


def run(config: Path, console: Console) -> int:
    """Print a row per stage and refresh `results/<experiment>/current`."""
    experiment = PlannedExperiment.load(config)
    table = Table(title=f"{experiment.config.experiment} ({experiment.results})", title_justify="left")
    for heading in ("stage", "done", "of", "wall time", "MB", "set aside"):
        table.add_column(heading, justify="left" if heading in ("stage", "set aside") else "right")
    for stage in STAGES:
        artefacts = experiment.plan.of_stage(stage)
        done, seconds, size = 0, 0.0, 0
        rejected: dict[str, int] = {}
        for artefact in artefacts:
            folder = experiment.results / artefact
            if not (folder / MANIFEST).is_file():
                continue
            try:
                manifest = read_manifest(folder)
            except UserError as error:
                console.print(f"[red]damaged[/] {error}", soft_wrap=True, highlight=False)
                continue
            done += 1
            seconds += manifest.provenance.get("wall_seconds") or 0.0
            size += sum(entry.bytes for entry in manifest.files)
            for reason, count in manifest.rejected.items():
                rejected[reason] = rejected.get(reason, 0) + count
        aside = ", ".join(f"{count} {reason}" for reason, count in sorted(rejected.items()))
        table.add_row(stage, str(done), str(len(artefacts)), f"{seconds:.0f} s", f"{size / 1e6:.1f}", aside)
    console.print(table)
    if experiment.results.is_dir():
        link_current(experiment.plan, experiment.results)
    return 0
