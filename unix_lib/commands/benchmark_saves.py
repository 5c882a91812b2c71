"""`benchmark-saves`: how long a save of a training state holds training up, waiting and in the background."""

from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from unix_lib.speed.measuring import machine
from unix_lib.speed.saves import SaveTimes, measure_saves


def run(gigabytes: float, folder: Path, rounds: int, console: Console) -> int:
    """Measure and print."""
    show(measure_saves(gigabytes, folder, rounds), console)
    return 0


def show(times: SaveTimes, console: Console) -> None:
    """Print one table."""
    described = machine(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    table = Table(title=f"Saves of {times.bytes / 1e9:.2f} GB", title_justify="left", caption=f"{described}; seconds.")
    table.add_column("")
    for turn in range(len(times.written)):
        table.add_column(f"save {turn + 1}", justify="right")
    table.add_row("training waits until it is written", *(f"{each:.2f}" for each in times.held_up_writing))
    table.add_row("training waits until it is copied", *(f"{each:.2f}" for each in times.held_up_copying))
    shares = zip(times.held_up_copying, times.held_up_writing, strict=True)
    table.add_row("  as a share of the above", *(f"{copying / writing:.1%}" for copying, writing in shares))
    table.add_row("  written in the background after", *(f"{each:.2f}" for each in times.written))
    table.add_row("a step meanwhile; alone", f"{times.step_while_writing:.2f}; {times.step:.2f}")
    console.print(table)
