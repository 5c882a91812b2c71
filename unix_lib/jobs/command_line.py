"""The command line that every script has: a recipe and the execution settings in, a manifest out.

With `--log`, everything that the process and the libraries in it print goes to that file, and only the
project's own progress lines reach the screen, each with the artefact's name in front.
"""

import argparse
import logging
import os
import shlex
import sys
from pathlib import Path
from typing import Any, TextIO

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.recipe import RecipeError
from unix_lib.jobs.job import Job


def run_script(stage: str, description: str | None) -> None:
    """Parse a script's arguments, do its job, which must be of `stage`, and turn an expected error into one line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--recipe", type=Path, required=True, help="recipes/<stage>/<name>-<digest>.json")
    parser.add_argument("--execution", type=Path, required=True, help="numeric and operational settings, JSON")
    parser.add_argument("--output", type=Path, required=True, help="the manifest to write")
    parser.add_argument("--log", type=Path, help="file for everything that is printed; the screen keeps the progress")
    arguments = parser.parse_args()
    screen = _open_log(arguments.log, arguments.recipe.stem.rpartition("-")[0])
    try:
        job: Job[Any, Any] = Job.from_files(arguments.recipe, arguments.execution, arguments.output)
        if job.recipe.stage != stage:
            raise RecipeError(
                f"{arguments.recipe}: a recipe of stage {job.recipe.stage}; run scripts/{job.recipe.stage}.py"
            )
        job.make()
    except UserError as error:
        line = f"{type(error).__name__}: {error}"
        if arguments.log is not None:
            print(line, file=screen, flush=True)
        sys.exit(line)


def _open_log(log: Path | None, name: str) -> TextIO:
    """Point stdout and stderr at the log; returns the screen as it was."""
    form = logging.Formatter(f"%(asctime)s {name}: %(message)s", datefmt="%H:%M:%S")
    handlers: list[logging.Handler] = []
    screen = sys.stderr
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        screen = os.fdopen(os.dup(2), "w", buffering=1)
        handlers.append(logging.StreamHandler(screen))
        with open(log, "a") as file:  # appending keeps the lines of a job's several processes whole
            if os.environ.get("RANK", "0") == "0":
                file.truncate(0)
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        print(shlex.join([sys.executable, "-P", *sys.argv]), flush=True)
    handlers.append(logging.StreamHandler(sys.stderr))
    root = logging.getLogger("unix_lib")
    root.setLevel(logging.INFO)
    root.propagate = False
    for handler in handlers:
        handler.setFormatter(form)
        root.addHandler(handler)
    return screen
