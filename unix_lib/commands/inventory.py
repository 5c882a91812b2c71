"""`inventory`: hash the outside files that a config names, so that planning need not."""

import os
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from unix_lib.commands.marks import marked
from unix_lib.config import load_experiment
from unix_lib.recipes.inventory import Taken, take_inventory

SHOWN = 20  # files that can't be read


def run(config: Path, readers: int | None, console: Console) -> int:
    """Hash what is not known yet; returns 1 where a file can't be read."""
    experiment = load_experiment(config)
    files = TextColumn("{task.fields[read]:,} files")
    columns = (BarColumn(), files, DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("hashing", read=0)

        def show(so_far: Taken) -> None:
            bar.update(task, completed=so_far.read_bytes, total=so_far.bytes, read=so_far.read_files)

        taken = take_inventory(experiment, Path.cwd(), readers or len(os.sched_getaffinity(0)), show)
    for fault in taken.faults:
        console.print(marked("damaged", "yellow", f"{fault}; what was lost is read again"), soft_wrap=True)
    for path in taken.unreadable[:SHOWN]:
        console.print(marked("unreadable", "red", path), soft_wrap=True, highlight=False)
    if len(taken.unreadable) > SHOWN:
        console.print(marked("unreadable", "red", f"... {len(taken.unreadable) - SHOWN:,} more"))
    if taken.unsettled:
        console.print(marked("unsettled", "yellow", f"{taken.unsettled:,} files were written to just now; run again"))
    console.print(
        f"{taken.files:,} files: {taken.known:,} known, {taken.read_files:,} read ({taken.read_bytes / 1e6:,.1f} MB)"
        f"{'; inventories: ' * bool(taken.places)}{', '.join(map(str, taken.places))}",
        soft_wrap=True,
        highlight=False,
    )
    return 1 if taken.unreadable else 0
