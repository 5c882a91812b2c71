"""`pipeline`: the `dvc.yaml` by which DVC runs and keeps an experiment."""

from pathlib import Path

from rich.console import Console

from unix_lib.commands.experiment import PlannedExperiment
from unix_lib.versioning.pipeline import write_pipeline
from unix_lib.versioning.policy import write_left_out


def run(config: Path, profile: str | None, console: Console) -> int:
    """Write it, and beside the results what of them stays out of DVC; both belong in git."""
    experiment = PlannedExperiment.load(config)
    write_left_out(experiment.plan, experiment.results)
    path = write_pipeline(experiment.plan, config, profile)
    console.print(f"{path}: run it by `dvc repro{'' if path.parent == Path() else f' {path}'}`", highlight=False)
    return 0
