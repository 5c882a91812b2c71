"""What SLURM says of jobs, asked once for all of them; nothing where there is no SLURM, or no answer."""

from collections.abc import Iterable

from unix_lib.cluster.slurm import asked

SECONDS = 20


def slurm_states(jobs: Iterable[str]) -> dict[str, str]:
    """States by job id (`RUNNING`, `TIMEOUT`, ...): of `squeue`, and of `sacct` for those that it has forgotten."""
    wanted = sorted(set(jobs))
    if not wanted:
        return {}
    states = _states("squeue", "--noheader", "--states=all", f"--jobs={','.join(wanted)}", "--format=%i|%T")
    forgotten = [job for job in wanted if job not in states]
    if forgotten:
        options = ["--noheader", "--allocations", "--parsable2", "--format=JobID,State"]
        states = _states("sacct", *options, f"--jobs={','.join(forgotten)}") | states
    return states


def _states(*command: str) -> dict[str, str]:
    """Of what a command says; one that is asked for a job of long ago may fail for this one and tell the others."""
    told = asked(*command, seconds=SECONDS, may_fail=True) or ""
    pairs = (line.split("|") for line in told.splitlines() if line.count("|") == 1)
    return {job: state.partition(" ")[0] for job, state in pairs}
