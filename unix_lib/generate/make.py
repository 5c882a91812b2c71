"""Makes a group of benchmarks' answers: one job that loads a checkpoint once, an artefact for each benchmark."""

import logging
import time
from typing import Any

from unix_lib.artefacts.manifest import Manifest
from unix_lib.config.generate import DecodingExecution, GroupSettings
from unix_lib.generate.members import checkpoint_of
from unix_lib.jobs.job import Job
from unix_lib.recipes.workspace import read_planned

log = logging.getLogger(__name__)


def make_group(job: Job[GroupSettings, DecodingExecution]) -> Manifest:
    """Make `generate/<run>-step-00100-group-<group>` and every benchmark's answers that are not there yet.

    The facts hold the members' content digests, so that one that changed or vanished is noticed.

    Raises:
        UserError: a benchmark that can't be answered; those before it are kept.
    """
    recipes = [read_planned(job.results, *artefact.split("/", 1)) for artefact in job.recipe.in_role("answers")]
    members: list[Job[Any, DecodingExecution]] = [Job.of(recipe, job.results, job.execution) for recipe in recipes]
    made = {member.recipe.artefact: member.made() for member in members}
    missing = [member for member in members if made[member.recipe.artefact] is None]
    checkpoint = checkpoint_of(missing) if missing else None
    seconds: dict[str, float] = {}
    for member in missing:
        member.started = time.monotonic()
        made[member.recipe.artefact] = member.make(checkpoint)
        seconds[member.recipe.name] = round(time.monotonic() - member.started, 2)
        log.info("%s: %.1f s", member.recipe.name, seconds[member.recipe.name])
    digests = {artefact: manifest.digest for artefact, manifest in made.items() if manifest is not None}
    return job.finish({}, facts={"answers": digests}, metrics={"seconds": seconds})
