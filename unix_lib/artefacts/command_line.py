"""The command line that every script has: a recipe and the execution settings in, a manifest out."""

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.job import Job


def run_script(make: Callable[[Job], object], description: str) -> None:
    """Parse a script's arguments, make its artefact, and turn an expected error into one line.

    Args:
        make: the library function that does the work and calls `job.finish(...)` last.
        description: what the script makes, for `--help`.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--recipe", type=Path, required=True, help="recipes/<stage>/<name>-<digest>.json")
    parser.add_argument("--execution", type=Path, required=True, help="numeric and operational settings, JSON")
    parser.add_argument("--output", type=Path, required=True, help="the manifest to write")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    try:
        make(Job.from_files(arguments.recipe, arguments.execution, arguments.output))
    except UserError as error:
        sys.exit(f"{type(error).__name__}: {error}")
