"""How long a plan takes on so many cores: a simulation of its jobs, each started as soon as it may and fits."""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class TimedJob:
    """One job of the simulation."""

    seconds: float
    threads: int  # of the cores; 0 runs elsewhere
    waits_for: tuple[str, ...] = ()


def wall_seconds(jobs: Mapping[str, TimedJob], cores: int) -> float:
    """Seconds until the last job ends.

    Args:
        jobs: by name, in the order in which they are tried; what they wait for and is not among them is there already.
        cores: shared by jobs that run at the same time; a job that asks for more gets all of them.
    """
    waiting = dict(jobs)
    running: list[tuple[float, str]] = []  # end, name
    free, now = cores, 0.0
    while waiting or running:
        unfinished = {name for _, name in running} | set(waiting)
        for name, job in list(waiting.items()):
            threads = min(job.threads, cores)
            if threads <= free and unfinished.isdisjoint(job.waits_for):
                heapq.heappush(running, (now + job.seconds, name))
                free -= threads
                del waiting[name]
        if not running:
            raise ValueError(f"jobs wait for each other: {', '.join(waiting)}")
        now, ended = heapq.heappop(running)
        free += min(jobs[ended].threads, cores)
    return now
