"""`status`: what of an experiment is done, stage by stage, what was set aside, what runs and what failed.

With `watch` or `json` it only reads: no link is set.
"""

import json
import os
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import MANIFEST, read_manifest
from unix_lib.commands.experiment import PlannedExperiment
from unix_lib.commands.marks import marked
from unix_lib.commands.status_view import failures, running_table, whole_view
from unix_lib.recipes.plan import STAGES
from unix_lib.recipes.prune import is_earlier, size_of, unreached
from unix_lib.recipes.workspace import link_current
from unix_lib.watch.snapshot import Watcher


def watch(config: Path, seconds: float, console: Console) -> int:
    """Show the experiment anew every so many seconds until nothing is left to do, or Ctrl-C."""
    watcher = _watcher(PlannedExperiment.load(config))
    with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
        while True:
            snapshot = watcher.snapshot()
            live.update(whole_view(snapshot), refresh=True)
            if snapshot.done == snapshot.jobs:
                break
            try:
                time.sleep(seconds)
            except KeyboardInterrupt:
                break
    console.print(whole_view(snapshot))
    return 0


def as_json(config: Path, console: Console) -> int:
    """Print the experiment as one JSON object; see docs/watching.md."""
    print(json.dumps(asdict(_watcher(PlannedExperiment.load(config)).snapshot()), indent=2))
    return 0


def _watcher(experiment: PlannedExperiment) -> Watcher:
    return Watcher(experiment.plan, experiment.results, len(os.sched_getaffinity(0)))


def run(config: Path, console: Console) -> int:
    """Print a row per stage and refresh `results/<experiment>/current`."""
    experiment = PlannedExperiment.load(config)
    table = Table(title=f"{experiment.config.experiment} ({experiment.results})", title_justify="left")
    for heading in ("stage", "done", "of", "wall time", "MB", "set aside"):
        table.add_column(heading, justify="left" if heading in ("stage", "set aside") else "right")
    for stage in STAGES:
        artefacts = [a for a in experiment.plan.of_stage(stage) if experiment.plan.jobs[a].recipe.kind != "group"]
        if not artefacts:
            continue
        done, seconds, size = 0, 0.0, 0
        rejected: Counter[str] = Counter()
        for artefact in artefacts:
            folder = experiment.results / artefact
            if not (folder / MANIFEST).is_file():
                continue
            try:
                manifest = read_manifest(folder)
            except UserError as error:
                console.print(marked("damaged", "red", str(error)), soft_wrap=True, highlight=False)
                continue
            done += 1
            seconds += manifest.provenance.get("wall_seconds") or 0.0
            size += sum(entry.bytes for entry in manifest.files)
            rejected.update(manifest.rejected)
        aside = ", ".join(f"{count} {reason}" for reason, count in sorted(rejected.items()))
        table.add_row(stage, str(done), str(len(artefacts)), f"{seconds:.0f} s", f"{size / 1e6:.1f}", aside)
    console.print(table)
    snapshot = _watcher(experiment).snapshot()
    if snapshot.running:
        console.print(running_table(snapshot.running))
    for line in failures(snapshot):
        console.print(line, soft_wrap=True, highlight=False)
    _print_unreached(experiment, console)
    if experiment.results.is_dir():
        link_current(experiment.plan, experiment.results)
    return 0


def _print_unreached(experiment: PlannedExperiment, console: Console) -> None:
    """Say what lies in the results that this config has no part in."""
    found = unreached([experiment.plan], experiment.results)
    if not found:
        return
    earlier = sum(is_earlier(path) for path in found)
    made = f", {earlier} of them made by an earlier version" if earlier else ""
    size = sum(map(size_of, found)) / 1e6
    console.print(
        f"{len(found)} files and folders, {size:.1f} MB, that this config does not reach{made}; "
        f"`unix-lib prune {experiment.results}` lists what no config reaches.",
        soft_wrap=True,
        highlight=False,
    )
