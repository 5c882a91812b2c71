"""What SLURM says of jobs, asked once for all of them; nothing where there is no SLURM, or no answer."""

import subprocess
from collections.abc import Iterable

SECONDS = 20


def slurm_states(jobs: Iterable[str]) -> dict[str, str]:
    """States by job id (`RUNNING`, `TIMEOUT`, ...): of `squeue`, and of `sacct` for those that it has forgotten."""
    wanted = sorted(set(jobs))
    if not wanted:
        return {}
    states = _asked("squeue", "--noheader", "--states=all", f"--jobs={','.join(wanted)}", "--format=%i|%T")
    forgotten = [job for job in wanted if job not in states]
    if forgotten:
        options = ["--noheader", "--allocations", "--parsable2", "--format=JobID,State"]
        states = _asked("sacct", *options, f"--jobs={','.join(forgotten)}") | states
    return states


def _asked(*command: str) -> dict[str, str]:
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    pairs = (line.split("|") for line in told.splitlines() if line.count("|") == 1)
    return {job: state.partition(" ")[0] for job, state in pairs}
