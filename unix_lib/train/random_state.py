"""The random number generators of a process, in a state."""

from pathlib import Path
from typing import Any

import torch


def random_file(folder: Path, rank: int) -> Path:
    """Where a state keeps those of a process."""
    return folder / f"random-{rank:05d}.pt"


def random_state() -> dict[str, Any]:
    """What `restore_random_state` takes."""
    return {
        "cpu": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_state(folder: Path, rank: int) -> None:
    """Go on with the numbers of a state. A process that the state's run did not have keeps its own: training draws
    none, and this only keeps it so that nothing of a resumed process differs."""
    path = random_file(folder, rank)
    if not path.is_file():
        return
    saved = torch.load(path, weights_only=True)
    torch.set_rng_state(saved["cpu"])
    if torch.cuda.is_available() and len(saved["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(saved["cuda"])
