"""`prune`: remove the results that no config of an experiment reaches."""

from pathlib import Path

import yaml
from rich.console import Console

from unix_lib.artefacts.errors import UserError
from unix_lib.commands.experiment import PlannedExperiment
from unix_lib.recipes.prune import remove, unreached


def run(results: Path, configs: list[Path], delete: bool, console: Console) -> int:
    """List, and with `delete` remove, what none of the configs of this experiment reaches."""
    if not results.is_dir():
        raise UserError(f"{results}: no such results folder; give results/<experiment>")
    chosen = configs or [path for path in sorted(Path("config").glob("*.yaml")) if _names(path, results.name)]
    plans = [PlannedExperiment.load(path).plan for path in chosen]
    if not plans or any(plan.experiment != results.name for plan in plans):
        raise UserError(
            f"{results}: no config in config/ names experiment '{results.name}'; give its config with --config"
        )
    found = unreached(plans, results)
    for item in found:
        console.print(f"{item.bytes / 1e6:10.2f} MB  {item.path}", soft_wrap=True, highlight=False)
    total = sum(item.bytes for item in found) / 1e6
    if delete:
        remove(found)
        console.print(f"removed {len(found)} items, {total:.1f} MB")
    else:
        console.print(f"{len(found)} items, {total:.1f} MB that no config reaches; --delete removes them")
    return 0


def _names(path: Path, experiment: str) -> bool:
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    return isinstance(values, dict) and values.get("experiment") == experiment
