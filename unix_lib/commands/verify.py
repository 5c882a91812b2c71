"""`verify`: re-hash an experiment's results."""

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from unix_lib.artefacts.verify import NOT_COVERED, Verification, verify
from unix_lib.commands.marks import marked

SHOWN = 20  # files that nothing proves


def run(results: Path, console: Console) -> int:
    """Print every fault; returns the exit status."""
    files = TextColumn("{task.fields[hashed]}/{task.fields[files]} files")
    columns = (BarColumn(), files, DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("hashing", hashed=0, files=0)

        def show(so_far: Verification) -> None:
            bar.update(
                task,
                completed=so_far.hashed_bytes,
                total=so_far.bytes,
                hashed=so_far.hashed_files,
                files=so_far.files,
            )

        found = verify(results, show)
    for line in found.unproven[:SHOWN]:
        console.print(marked("unproven", "yellow", line), soft_wrap=True, highlight=False)
    if len(found.unproven) > SHOWN:
        console.print(marked("unproven", "yellow", f"... {len(found.unproven) - SHOWN} more"))
    for fault in found.faults:
        console.print(marked("damaged", "red", fault), soft_wrap=True, highlight=False)
    console.print(
        f"{found.artefacts} artefacts, {found.files} files, {found.bytes / 1e6:.1f} MB hashed, "
        f"{len(found.faults)} damaged, {len(found.unproven)} unproven",
        soft_wrap=True,
    )
    console.print(f"Not looked at: {', '.join(sorted(NOT_COVERED))}", soft_wrap=True, highlight=False)
    return 1 if found.faults else 0
