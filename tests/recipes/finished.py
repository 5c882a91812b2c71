"""Finished jobs of a plan, made up: manifests with the times that a test wants to be measured."""

import copy
import time
from pathlib import Path
from typing import Any

from tests.workflow.small_config import CONFIG
from unix_lib.artefacts.manifest import MANIFEST
from unix_lib.artefacts.recipe import write_recipe
from unix_lib.config import parse_experiment
from unix_lib.config.train import CheckpointSettings
from unix_lib.jobs.job import Job
from unix_lib.recipes.costs import run_costs
from unix_lib.recipes.plan import Plan
from unix_lib.recipes.resolve import resolve

ROOT = Path(__file__).resolve().parents[2]


def small_plan(change: Any = None) -> Plan:
    """The plan of the small config, with a function that changes its values."""
    values = copy.deepcopy(CONFIG)
    if change is not None:
        change(values)
    return resolve(parse_experiment(values, "test", ROOT), ROOT)


def finish(plan: Plan, artefact: str, results: Path, seconds: float) -> None:
    """Write the manifest of a planned job that took so long, after those of what it builds on."""
    planned = plan.jobs[artefact]
    for needed in planned.recipe.upstream:
        if not (results / needed / MANIFEST).is_file():
            finish(plan, needed, results, 1)
    write_recipe(planned.recipe, results)
    job: Job[Any, Any] = Job.of(planned.recipe, results, planned.execution)
    job.started = time.monotonic() - seconds
    facts: dict[str, Any] = {}
    if isinstance(planned.settings, CheckpointSettings):
        costs = run_costs(plan.experiment, planned.settings.run)
        facts = {"parameters_text": costs.text.parameters, "parameters_vision": costs.vision.parameters}
    job.finish({}, facts=facts)


def finish_all(plan: Plan, results: Path, seconds: float = 1.0) -> None:
    """Every job of a plan."""
    for artefact in plan.jobs:
        finish(plan, artefact, results, seconds)
