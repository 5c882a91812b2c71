"""`verify`: re-hash an experiment's results."""

from pathlib import Path

from rich.console import Console

from unix_lib.artefacts.verify import verify
from unix_lib.commands.marks import marked


def run(results: Path, console: Console) -> int:
    """Print every fault; returns the exit status."""
    with console.status("hashing") as status:
        found = verify(results, progress=lambda name: status.update(f"hashing {name}"))
    for fault in found.faults:
        console.print(marked("damaged", "red", fault), soft_wrap=True, highlight=False)
    size = found.bytes / 1e6
    console.print(
        f"{found.artefacts} artefacts, {found.files} files, {size:.1f} MB hashed, {len(found.faults)} damaged"
    )
    return 1 if found.faults else 0
