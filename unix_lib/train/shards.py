"""What a process writes of a state, before it is written: DeepSpeed's files, and the first process's own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from deepspeed.runtime.checkpoint_engine.torch_checkpoint_engine import TorchCheckpointEngine

from unix_lib.artefacts.hashed import Entry, HashedFile

TAG = "state"  # DeepSpeed's name for the checkpoint inside its folder


class Shard(NamedTuple):
    """A file to be: where, and what `torch.save` writes there."""

    path: Path
    content: Any


class _Collector(TorchCheckpointEngine):  # type: ignore[misc]
    """A checkpoint engine of DeepSpeed's that writes nothing and keeps what it is to write.

    DeepSpeed's own asynchronous engines would not do: `DecoupledCheckpointEngine` takes the tensors themselves to
    another process and waits for it before the next optimizer step, DataStates is a package of its own, and neither
    hashes what it writes nor tells a failed write from a good one.
    """

    def __init__(self) -> None:
        self.shards: list[Shard] = []

    def save(self, state_dict: Any, path: str) -> None:
        self.shards.append(Shard(Path(path), state_dict))

    def create(self, info: Any) -> None:
        """Nothing to prepare."""


def deepspeed_shards(engine: Any, folder: Path) -> list[Shard]:
    """This process's part of a DeepSpeed checkpoint in a folder; its tensors are the engine's own, not copies.

    Called on all processes together.
    """
    own, collector = engine.checkpoint_engine, _Collector()
    engine.checkpoint_engine = collector
    try:
        engine.save_checkpoint(str(folder), tag=TAG, save_latest=False)
    finally:
        engine.checkpoint_engine = own
    return collector.shards


def write_shards(shards: list[Shard], then: Callable[[], dict[Path, Entry]]) -> dict[Path, Entry]:
    """Write files in one pass each, then call what writes the others; returns what is known of them."""
    entries = {}
    for path, content in shards:
        with HashedFile(path) as file:
            torch.save(content, file)  # type: ignore[arg-type]  # it only writes
        entries[path] = file.entry
    return entries | then()
