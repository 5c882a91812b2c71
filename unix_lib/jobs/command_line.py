"""The command line that every script has: a recipe and the execution settings in, a manifest out.

With `--log`, everything that the process and the libraries in it print goes to a file, and only the project's own
progress lines reach the screen, each with the artefact's name in front. Each attempt has a file of its own,
`attempts/<log>.<number>`, which a later one, or Snakemake, leaves alone; the log is a link to the last.
"""

import argparse
import logging
import os
import platform
import shlex
import sys
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, TextIO

from unix_lib.artefacts.files import point_link
from unix_lib.artefacts.recipe import RecipeError, results_of
from unix_lib.jobs.attempts import ATTEMPTS, Attempts
from unix_lib.jobs.job import Job, first_process
from unix_lib.jobs.machine import in_a_line

# Read once, by the libraries that a job imports: sums over other numbers of threads differ in their last bits.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
ATTEMPT = "UNIX_LOG"  # in the environment of a job's several processes, which share a file


def run_script(stage: str, description: str | None) -> None:
    """Parse a script's arguments, do its job, which must be of `stage`, and turn an expected error into one line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--recipe", type=Path, required=True, help="recipes/<stage>/<name>-<digest>.json")
    parser.add_argument("--execution", type=Path, required=True, help="numeric and operational settings, JSON")
    parser.add_argument("--output", type=Path, required=True, help="the manifest to write")
    parser.add_argument("--log", type=Path, help="file for everything that is printed; the screen keeps the progress")
    arguments = parser.parse_args()
    try:
        screen = _open_log(arguments.log, arguments.recipe.stem.rpartition("-")[0])
    except OSError as error:
        sys.exit(in_a_line(error, results_of(arguments.recipe)) or str(error))
    attempts: Attempts | None = None
    try:
        job: Job[Any, Any] = Job.from_files(arguments.recipe, arguments.execution, arguments.output)
        if job.recipe.stage != stage:
            raise RecipeError(
                f"{arguments.recipe}: a recipe of stage {job.recipe.stage}; run scripts/{job.recipe.stage}.py"
            )
        # Whoever started it: Snakemake gives as many as the job has and its --cores allow, a shell none or its own.
        os.environ.update(dict.fromkeys(THREADS, str(job.shape.threads)))
        attempts = Attempts(job) if first_process() else None
        job.make()
    except Exception as error:
        told = in_a_line(error, results_of(arguments.recipe))
        line = told or f"{type(error).__name__}: {error}"
        if attempts is not None:
            attempts.failed(line)
        if arguments.log is not None:
            more = "" if told else f"\n  traceback: {arguments.log}"
            print(f"{line}{more}", file=screen, flush=True)
        if told is None:  # a fault of ours: its traceback stands in the log
            raise
        sys.exit(line)
    if attempts is not None:
        attempts.made()


def new_attempt(log: Path) -> Path:
    """Make the file of one more attempt, and the log a link to it; without links all attempts share the log."""
    folder = log.parent / ATTEMPTS
    folder.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        attempt = folder / f"{log.name}.{number}"
        try:
            attempt.touch(exist_ok=False)
            break
        except FileExistsError:
            continue
    if not point_link(log, attempt.relative_to(log.parent)):
        attempt.unlink()
        return log
    return attempt


def _open_log(log: Path | None, name: str) -> TextIO:
    """Point stdout and stderr at the log; returns the screen as it was."""
    form = logging.Formatter(f"%(asctime)s {name}: %(message)s", datefmt="%H:%M:%S")
    handlers: list[logging.Handler] = []
    screen = sys.stderr
    if log is not None:
        screen = os.fdopen(os.dup(2), "w", buffering=1)
        handlers.append(logging.StreamHandler(screen))
        # Appending keeps the lines of a job's several processes whole.
        with open(os.environ.get(ATTEMPT) or new_attempt(log), "a") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        began = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
        print(f"--- {began}, process {os.getpid()} on {platform.node()}", flush=True)
        print(shlex.join([sys.executable, "-P", *sys.argv]), flush=True)
    handlers.append(logging.StreamHandler(sys.stderr))
    root = logging.getLogger("unix_lib")
    root.setLevel(logging.INFO)
    root.propagate = False
    for handler in handlers:
        handler.setFormatter(form)
        root.addHandler(handler)
    return screen
