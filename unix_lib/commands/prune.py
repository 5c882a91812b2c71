"""`prune`: remove the results that no config of an experiment reaches, and training states that nothing needs."""

from collections import defaultdict
from pathlib import Path

from rich.console import Console

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import MANIFEST
from unix_lib.commands.experiment import PlannedExperiment
from unix_lib.config import ConfigError, read_config
from unix_lib.config.train import CheckpointSettings
from unix_lib.recipes.plan import Plan
from unix_lib.recipes.prune import is_earlier, remove, size_of, unreached
from unix_lib.train.state import prune_state, superseded_states


def run(results: Path, configs: list[Path], states: bool, delete: bool, console: Console) -> int:
    """List, and with `delete` remove, what none of the configs of this experiment reaches.

    Raises:
        UserError: no such folder, no config of this experiment, or a config that can't be read.
    """
    if not results.is_dir():
        raise UserError(f"{results}: no such results folder; give results/<experiment>")
    chosen = configs or [path for path in sorted(Path("config").glob("*.y*ml")) if _names(path, results.name)]
    plans = [PlannedExperiment.load(path).plan for path in chosen]
    if not plans or any(plan.name != results.name for plan in plans):
        raise UserError(
            f"{results}: no config in config/ names experiment '{results.name}'; give its config with --config"
        )
    found = unreached(plans, results)
    superseded = _superseded(plans, results) if states else []
    sizes = {path: size_of(path) for path in (*found, *superseded)}
    for path, size in sizes.items():
        note = "  (made by an earlier version)" if is_earlier(path) else ""
        console.print(f"{size / 1e6:10.2f} MB  {path}{note}", soft_wrap=True, highlight=False)
    total = sum(sizes.values()) / 1e6
    kind = "that no config reaches" + (" or no checkpoint starts from any more" if states else "")
    if delete:
        remove(found)
        for folder in superseded:
            prune_state(folder)
        console.print(f"removed {len(sizes)} items, {total:.1f} MB")
    else:
        console.print(f"{len(sizes)} items, {total:.1f} MB {kind}; --delete removes them")
    return 0


def _superseded(plans: list[Plan], results: Path) -> list[Path]:
    """Superseded states of every run of the plans."""
    due: dict[tuple[str, str], set[int]] = defaultdict(set)
    for artefact, job in ((artefact, job) for plan in plans for artefact, job in plan.jobs.items()):
        if isinstance(job.settings, CheckpointSettings):
            steps = due[job.settings.run, job.settings.run_digest]
            if not (results / artefact / MANIFEST).is_file():
                steps.add(job.settings.step)
    return [folder for (run, digest), steps in due.items() for folder in superseded_states(results, run, digest, steps)]


def _names(path: Path, experiment: str) -> bool:
    try:
        return bool(read_config(path).get("experiment") == experiment)
    except ConfigError as error:
        raise UserError(
            f"{error}; until then nothing is pruned, since it may keep results: mend it, or give configs with --config"
        ) from None
