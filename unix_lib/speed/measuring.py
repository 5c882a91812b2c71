"""Fair timing: contenders take turns in one process, so that a slow minute of the machine hits all of them.

A contender is opened (built and warmed up) and then run once a round. On a CPU all stay open; on a GPU, whose memory
holds one large model at a time, each is opened anew for its turn, outside the clock.
"""

import gc
import logging
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

log = logging.getLogger(__name__)

Run = Callable[[], object]
Open = Callable[[], Run]


@dataclass(frozen=True)
class Times:
    """Seconds of one contender, one per round."""

    seconds: list[float]

    def speeds(self, amount: float) -> tuple[float, float, float]:
        """Median, lowest and highest speed where a run does `amount`, per second."""
        speeds = [amount / each for each in self.seconds]
        return statistics.median(speeds), min(speeds), max(speeds)

    def over(self, other: "Times") -> float:
        """How many times as fast as another contender: the median over rounds of the ratio within a round."""
        return statistics.median(theirs / own for own, theirs in zip(self.seconds, other.seconds, strict=True))


def take_turns(contenders: dict[str, Open], rounds: int, device: torch.device, what: str) -> dict[str, Times]:
    """Time every contender once per round, in an order that reverses from round to round.

    Args:
        contenders: by name; opening one gives what is timed, which runs once untimed before.
        what: named in the log.
    """
    keep = device.type == "cpu"
    opened: dict[str, Run] = {}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for turn in range(rounds):
        for name in names if turn % 2 == 0 else reversed(names):
            run = opened.pop(name, None)
            if run is None:
                run = contenders[name]()
                run()
            synchronize(device)
            began = time.perf_counter()
            run()
            synchronize(device)
            seconds[name].append(time.perf_counter() - began)
            log.info("%s, round %d of %d: %s %.3f s", what, turn + 1, rounds, name, seconds[name][-1])
            if keep:
                opened[name] = run
            del run
            free(device)
    return {name: Times(values) for name, values in seconds.items()}


def peak_memory(contender: Open, device: torch.device) -> int:
    """Most bytes that opening and running a contender twice holds at a time: weights, states and activations."""
    free(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        _open_and_run(contender)
        return torch.cuda.max_memory_allocated()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        _open_and_run(contender)
    events = profiled.profiler.kineto_results.events()
    live = peak = 0
    for event in sorted((each for each in events if each.name() == "[memory]"), key=lambda each: each.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return peak


def _open_and_run(contender: Open) -> None:
    run = contender()
    run()
    run()


def synchronize(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def free(device: torch.device) -> None:
    """Give back what is no longer used."""
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()


def machine(device: torch.device) -> str:
    """The machine in a line: processor, threads, GPU, versions, and how busy it was."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text(encoding="utf-8").splitlines() if described.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = named[0] if named else platform.processor() or platform.machine()
    parts = [f"{processor}, {os.cpu_count()} cores, {torch.get_num_threads()} threads used"]
    if device.type == "cuda":
        parts.append(torch.cuda.get_device_name())
    parts.append(f"torch {torch.__version__}, Python {platform.python_version()}")
    parts.append(f"load before {os.getloadavg()[0]:.1f}")
    return "; ".join(parts)
