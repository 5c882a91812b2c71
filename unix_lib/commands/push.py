"""`push`: keep what is made of an experiment with DVC, and send it to the remote."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from unix_lib.commands.experiment import PlannedExperiment
from unix_lib.commands.marks import marked
from unix_lib.recipes.workspace import unfinished
from unix_lib.versioning.pipeline import pipeline_path, write_pipeline
from unix_lib.versioning.policy import DVC, left_out, sizes
from unix_lib.versioning.repository import SharingError, kept_outs, repository, require_remote, stages_of


def run(config: Path, limit: float, console: Console) -> int:
    """Say what goes where, then commit and push the stages that are there; `limit` in GB is what may be added.

    Raises:
        SharingError: more than the limit, no remote, or another fault of DVC's.
    """
    experiment = PlannedExperiment.load(config)
    plan, results, path = experiment.plan, experiment.results, pipeline_path(experiment.plan.name)
    experiment.write_plan()
    if not path.is_file():
        write_pipeline(plan, config, profile=None)
    found = sizes(results, left_out(plan))
    table = Table(title=f"{results}: what is kept where", title_justify="left")
    for heading in ("", "kept in", "MB"):
        table.add_column(heading, justify="right" if heading == "MB" else "left")
    for kind, size in found.items():
        table.add_row(kind.name, kind.kept, f"{size / 1e6:,.1f}")
    console.print(table)
    with repository() as repo:
        stages = stages_of(repo, path)
        known = sum(out.meta.size or 0 for stage in stages for out in kept_outs(stage))
        added = sum(size for kind, size in found.items() if kind.kept == DVC) - known
        if added > limit * 1e9:
            raise SharingError(
                f"{added / 1e9:,.1f} GB would be added, more than {limit:g}: `make push LIMIT=<GB>` does"
            )
        address = require_remote(repo, must_exist=False)
        made = []
        for stage in stages:
            missing = [str(out) for out in stage.outs if not out.exists]
            if missing:
                console.print(marked("waiting", "yellow", f"{stage.name}: without {', '.join(missing)}"))
            else:
                made += repo.commit(stage.addressing, force=True)
        sent = repo.push(targets=[stage.addressing for stage in made if kept_outs(stage)])
    waiting = len(unfinished(plan, results))
    console.print(f"{sent} files sent to {address}; {len(plan.jobs) - waiting} of {len(plan.jobs)} artefacts are made.")
    told = f"{path} {path.with_name('dvc.lock')} {results}"
    console.print(f"`git add {told}` and a commit tell others what there is.", highlight=False)
    return 0
