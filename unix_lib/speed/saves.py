"""What a save costs training: while it is written, hashed and flushed, or only while it is copied into host memory.

DeepSpeed's engine around a stack of linear layers, the writers of `unix_lib.train`, real files. One process.
"""

import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unix_lib.artefacts.errors import UserError
from unix_lib.train.disk_space import free_bytes, space_fault
from unix_lib.train.host_copies import HostCopies, storages
from unix_lib.train.processes import Processes, prepare_deepspeed

STATE_BYTES = 12  # per parameter: a float32 weight and two moments
STEPS = 3


@dataclass(frozen=True)
class SaveTimes:
    """Seconds."""

    bytes: int
    held_up_writing: list[float]  # each save, training waits
    held_up_copying: list[float]  # each save in the background, its memory allocated before
    written: list[float]  # from its begin until the disk has it
    step: float  # without a save
    step_while_writing: float


def measure_saves(gigabytes: float, folder: Path, rounds: int, width: int = 4096) -> SaveTimes:
    """Save a state of a size several times each way; three times its size of memory is needed, and its size of disk.

    Raises:
        UserError: the disk has no room for it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fault = space_fault(folder, int(gigabytes * 1e9), free_bytes(folder))
    if fault is not None:
        raise UserError(fault)
    prepare_deepspeed(Processes(0, 1, use_cpu=not torch.cuda.is_available()))
    from unix_lib.train.shards import deepspeed_shards, write_shards

    engine, step = _training(ceil(gigabytes * 1e9 / STATE_BYTES / width**2), width)
    alone = [_seconds(step) for _ in range(STEPS + 1)][1:]
    part, copies, thread = folder / "save-benchmark", HostCopies(), ThreadPoolExecutor(1)
    writing, copying, written, beside = [], [], [], []
    size = 0

    copies.allocate([piece.nbytes() for piece in storages(deepspeed_shards(engine, part))])

    def write() -> None:
        write_shards(deepspeed_shards(engine, part), dict)

    for _ in range(rounds):
        writing.append(_seconds(write))
        size = sum(path.stat().st_size for path in part.rglob("*") if path.is_file())
        shutil.rmtree(part)
        began = time.perf_counter()
        task = thread.submit(write_shards, copies.take(deepspeed_shards(engine, part)), dict)
        copying.append(time.perf_counter() - began)
        while not task.done():
            beside.append(_seconds(step))
        task.result()
        written.append(time.perf_counter() - began)
        shutil.rmtree(part)
    return SaveTimes(size, writing, copying, written, _mean(alone), _mean(beside))


def _training(layers: int, width: int) -> tuple[Any, Callable[[], object]]:
    """DeepSpeed's engine, and what trains one step."""
    import deepspeed

    model = nn.Sequential(*(nn.Linear(width, width, bias=False) for _ in range(layers)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, foreach=False)
    config = {"train_micro_batch_size_per_gpu": 4, "zero_allow_untested_optimizer": True, "steps_per_print": 10**9}
    engine, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=config)
    inputs: Tensor = torch.ones(4, width, device=engine.device)

    def step() -> None:
        engine.backward(engine(inputs).square().mean())
        engine.step()
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    return engine, step


def _seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _mean(seconds: list[float]) -> float:
    return sum(seconds) / max(1, len(seconds))
