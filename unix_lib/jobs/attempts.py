"""The attempts of a job, kept beside their logs: whoever looks on reads the last error, and hopeless ones end at once.

A driver tries a failed job again, as often as its profile says. Where two attempts ended with the same error, numbers
apart, and neither left anything more for the next to go on from, the third would end as they did: it says so and stops.
Changed code, changed execution settings or a driver started anew, which is how the user says so, begin to count afresh.
An attempt that SLURM took back and requeued failed in nothing, and is forgotten.
"""

import json
import os
import platform
import re
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from unix_lib.artefacts.code import code_at_start
from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import digest_of, write_json
from unix_lib.artefacts.manifest import MANIFEST
from unix_lib.config.train import CheckpointSettings, run_folder_name
from unix_lib.jobs.holders import is_alive
from unix_lib.jobs.job import Job
from unix_lib.jobs.standing import now

ATTEMPTS = "attempts"  # folder beside the logs
DRIVER = ".snakemake.lock"  # in the results: who makes them
HOPELESS = 2  # attempts without progress


class NoProgress(UserError):
    """A job that is not tried again, because it would end as before."""


@dataclass(frozen=True)
class Attempt:
    """One attempt, as it began, and its error where it lived to tell it."""

    began: str
    host: str
    slurm_job: str | None
    requeued: int
    driver: str
    library: str  # SHA-256 over the modules
    execution: str  # digest of the execution settings
    saved: str  # digest of what it had to go on from
    error: str | None = None

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        return self.error or "ended without a word: killed outright, or out of memory"

    def like(self, other: "Attempt") -> bool:
        """Whether another had the same chances and the same end."""
        same = ("driver", "library", "execution", "saved")
        return all(getattr(self, name) == getattr(other, name) for name in same) and _shape(self) == _shape(other)


def _shape(attempt: Attempt) -> str:
    return re.sub(r"\d+", "0", attempt.ending)


def attempts_path(results: Path, artefact: str) -> Path:
    """The record of a job's attempts."""
    stage, _, key = artefact.partition("/")
    return results / "logs" / stage / ATTEMPTS / f"{key}.json"


def read_attempts(path: Path) -> list[Attempt]:
    """The attempts since the job was last made, the newest last; none where the record can't be read."""
    try:
        return [Attempt(**values) for values in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return []


class Attempts:
    """Those of the job that this process makes."""

    def __init__(self, job: Job[Any, Any]) -> None:
        """Begin one more.

        Raises:
            NoProgress: it would end like those before it.
        """
        self._path = attempts_path(job.results, job.recipe.artefact)
        requeued = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
        own = Attempt(
            began=now(),
            host=platform.node(),
            slurm_job=os.environ.get("SLURM_JOB_ID"),
            requeued=requeued,
            driver=_driver_at_work(job.results),
            library=code_at_start()["library"],
            execution=digest_of(job.execution.model_dump(mode="json")),
            saved=digest_of(_saved(job)),
        )
        before = [
            one
            for one in read_attempts(self._path)
            if own.slurm_job is None or (one.slurm_job, one.requeued < requeued) != (own.slurm_job, True)
        ]
        last = before[-HOPELESS:]
        alike = [one for one in last if one.like(replace(own, error=last[-1].error))]
        if len(alike) == HOPELESS and own.driver and not (job.folder / MANIFEST).is_file():
            raise NoProgress(
                f"{job.recipe.artefact}: not tried again, for {HOPELESS} attempts ended alike and saved nothing more: "
                f"{last[-1].ending} (began {last[0].began} and {last[1].began}; see "
                f"{self._path.with_suffix('.log')}.*). Mend it and run the workflow again, which tries it anew"
            )
        self._attempts = [*before, own]
        self._write()

    def failed(self, error: str) -> None:
        """Note how this one ended."""
        self._attempts[-1] = replace(self._attempts[-1], error=error)
        self._write()

    def made(self) -> None:
        """Nothing is left to tell."""
        with suppress(OSError):
            self._path.unlink()

    def _write(self) -> None:
        with suppress(OSError):  # of a full disk the job itself has more to say
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_json(self._path, [asdict(attempt) for attempt in self._attempts])


def _saved(job: Job[Any, Any]) -> list[tuple[str, int]]:
    """Files that an attempt would go on from, with their sizes."""
    folders = [job.work]
    if isinstance(job.settings, CheckpointSettings):
        folders.append(job.work.with_name(run_folder_name(job.settings.run, job.settings.run_digest)))
    whole = (path for folder in folders for path in folder.glob("[!.]*/**/*") if path.is_file())
    return sorted((str(path), path.stat().st_size) for path in whole)


def _driver_at_work(results: Path) -> str:
    """The Snakemake that tries again what fails; "" where the last one's process, on this host, has ended."""
    driver = driver_of(results)
    process = re.match(r"process (\d+) on (.*?)(?:, since .*)?$", driver)
    ended = process is not None and process[2] == platform.node() and not is_alive(int(process[1]))
    return "" if ended else driver


def driver_of(results: Path) -> str:
    """The Snakemake that makes these results, or the last one that did, in words; "" of none that can be read."""
    try:
        return (results / DRIVER).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
