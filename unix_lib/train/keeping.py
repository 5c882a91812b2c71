"""Lets go of training states that a config doesn't want to keep, once later checkpoints exist. Models always stay."""

import json
import logging
from typing import Any

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import MANIFEST
from unix_lib.artefacts.recipe import read_recipe
from unix_lib.config.train import CheckpointSettings, TrainExecution
from unix_lib.jobs.job import Job
from unix_lib.recipes.workspace import PLANNED
from unix_lib.train.state import prune_state, sealed_states

logger = logging.getLogger(__name__)


def drop_earlier_states(job: Job[CheckpointSettings, TrainExecution]) -> None:
    """Remove the run's states but the newest `keep_states` and those that a planned checkpoint starts from."""
    keep = job.execution.keep_states
    if keep is None:
        return
    states = sealed_states(job.results, job.settings.run, job.settings.run_digest)
    needed = {folder for _, folder in states[:keep]}
    for due in _steps_due(job):
        needed.update([folder for step, folder in states if step <= due][:1])
    for step, folder in reversed(states):
        if folder not in needed:
            prune_state(folder, f"train.keep_states: {keep}")
            logger.info("%s: state of step %d removed, as train.keep_states %d says", job.settings.run, step, keep)


def _steps_due(job: Job[CheckpointSettings, TrainExecution]) -> list[int]:
    """Steps of the run's checkpoints that are planned and not made yet."""
    try:
        planned: dict[str, Any] = json.loads((job.results / PLANNED).read_text(encoding="utf-8"))["train"]
    except (OSError, ValueError, KeyError):
        return []
    steps = []
    for name, digest in planned.items():
        key = f"{name}-{digest}"
        try:
            settings = read_recipe(job.results / "recipes" / "train" / f"{key}.json").settings
        except (OSError, UserError):
            continue
        if (
            settings.get("run_digest") == job.settings.run_digest
            and not (job.results / "train" / key / MANIFEST).is_file()
        ):
            steps.append(int(settings["step"]))
    return steps
