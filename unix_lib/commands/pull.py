"""`pull`: add what others kept of an experiment to what is here, and say whether it is what the config asks for."""

from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from unix_lib.artefacts.errors import UserError
from unix_lib.commands.experiment import PlannedExperiment
from unix_lib.recipes.plan import STAGES, Plan
from unix_lib.recipes.workspace import planned_digests, unfinished
from unix_lib.versioning.pipeline import locked_digests, pipeline_path
from unix_lib.versioning.repository import add_kept, kept_outs, repository, require_remote, stages_of

DRAWN = ("figures", "report")  # of everything, so another one wherever anything is


def run(config: Path, console: Console) -> int:
    """Fetch what the experiment's `dvc.lock` names, and add it.

    Raises:
        UserError: nobody kept this experiment, it was made from other recipes, or a fault of DVC's.
    """
    experiment = PlannedExperiment.load(config)
    plan, results, path = experiment.plan, experiment.results, pipeline_path(experiment.plan.name)
    lock = path.with_name("dvc.lock")
    if not lock.is_file():
        raise UserError(f"{lock}: not there, so nobody has kept this experiment; `make push` does, where it was made")
    locked = yaml.safe_load(lock.read_text(encoding="utf-8"))["stages"]
    with repository() as repo:
        require_remote(repo, must_exist=True)
        stages = [stage for stage in stages_of(repo, path) if stage.name in locked and kept_outs(stage)]
        repo.fetch(targets=[stage.addressing for stage in stages])
        with repo.lock:
            added = sum(add_kept(out) for stage in stages for out in kept_outs(stage))
    experiment.write_plan()
    console.print(f"{added} files added to {results}")
    if others := _made_otherwise(plan, locked):
        shown = ", ".join(others[:4]) + (f" and {len(others) - 4} more" if len(others) > 4 else "")
        raise UserError(
            f"{lock} names results of another version, config, or data from outside: {shown} have other recipes now. "
            f"Check out the commit that committed {lock}, or let `make run` make them anew (`make plan` says why and "
            "at which cost)"
        )
    waiting = len(unfinished(plan, results))
    left = f"{waiting} of {len(plan.jobs)} artefacts are still to be made" if waiting else "nothing is left to be made"
    console.print(f"{left}; `make figures CONFIG={config}` draws.")
    return 0


def _made_otherwise(plan: Plan, locked: dict[str, Any]) -> list[str]:
    """Artefacts without digests that the lock and the plan both have, by different recipes."""
    kept, planned = (
        {(stage, name): digest for stage, jobs in digests.items() for name, digest in jobs.items()}
        for digests in (locked_digests(locked, plan.name), planned_digests(plan))
    )
    differing = {key for key in kept.keys() & planned.keys() if kept[key] != planned[key] and key[0] not in DRAWN}
    return [f"{stage}/{name}" for stage, name in sorted(differing, key=lambda key: (STAGES.index(key[0]), key[1]))]
