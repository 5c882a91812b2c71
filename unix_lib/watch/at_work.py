"""Whether a job is at work, in a few words."""

from pathlib import Path

from unix_lib.jobs.holders import holder_of
from unix_lib.jobs.job import lock_path
from unix_lib.jobs.standing import read_standing, standing_path


def at_work(artefact: str, results: Path) -> str | None:
    """Who makes an artefact, since when, and how far it is; None where nobody does."""
    work = results / "work" / artefact
    holder = holder_of(lock_path(work))
    if holder is None:
        return None
    seen = read_standing(standing_path(work))
    since = f" since {seen.began}" if seen else ""
    far = f", {seen.done} of {seen.total} {seen.unit}" if seen and seen.total is not None else ""
    return f"running: {holder}{since}{far}"
