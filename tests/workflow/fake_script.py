"""Stands in for every script in the DAG tests: makes a small artefact from the recipe and its inputs' contents.

It notes each artefact it makes in `made.txt`, waits for `FAKE_SECONDS` and for a file called `FAKE_GO`, and fails for
the artefact whose name stands in `FAKE_FAILURE`.
"""

import hashlib
import os
import sys
import time
from pathlib import Path
from typing import Any

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import MANIFEST, read_manifest
from unix_lib.artefacts.recipe import read_recipe
from unix_lib.jobs import job as jobs
from unix_lib.jobs.command_line import run_script
from unix_lib.jobs.job import Job


def make(job: Job[Any, Any]) -> None:
    if job.recipe.kind == "group":
        make_members(job)
    time.sleep(float(os.environ.get("FAKE_SECONDS", "0")))
    while "FAKE_GO" in os.environ and not Path(os.environ["FAKE_GO"]).exists():
        time.sleep(0.05)
    if job.recipe.name == os.environ.get("FAKE_FAILURE"):
        raise UserError(f"{job.recipe.name} was told to fail")
    digest = hashlib.sha256(job.recipe.digest.encode())
    for role in sorted(job.recipe.inputs):
        for folder in job.inputs(role):
            digest.update(read_manifest(folder).digest.encode())
    names = ["made.txt"]
    if job.recipe.stage == "figures":
        names += [f"{job.recipe.name}.png", f"{job.recipe.name}.csv"]
    if job.recipe.stage == "report":
        names += ["index.html", "metrics.json", "claims.csv"]
    for name in names:
        (job.folder / name).write_text('{"cloze/unix": 0.5}' if name == "metrics.json" else digest.hexdigest())
    with open("made.txt", "a") as made:
        made.write(f"{job.recipe.stage}/{job.recipe.name}\n")
    job.finish(dict.fromkeys(names))


def make_members(job: Job[Any, Any]) -> None:
    """As the real job of a group: what exists stays, what is missing is made."""
    for artefact in job.recipe.in_role("answers"):
        if not (job.results / artefact / MANIFEST).is_file():
            stage, _, key = artefact.partition("/")
            recipe = read_recipe(job.results / "recipes" / stage / f"{key}.json")
            make(Job.of(recipe, job.results, job.execution))


if __name__ == "__main__":
    Path("made.txt").touch()
    jobs.imported = lambda path: make  # type: ignore[assignment]
    run_script(Path(sys.argv[0]).stem, __doc__)
