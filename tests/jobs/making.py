"""Jobs for tests, planned, written to disk and read back as the workflow does it."""

from pathlib import Path
from typing import Any

from unix_lib.artefacts.manifest import MANIFEST
from unix_lib.config.analyze import Inputs
from unix_lib.config.experiment import Experiment
from unix_lib.config.file_hashes import FileHashes
from unix_lib.config.jobs import Execution
from unix_lib.config.outside import Outside
from unix_lib.config.strict import StrictModel
from unix_lib.jobs.job import Job
from unix_lib.recipes.plan import Plan
from unix_lib.recipes.workspace import execution_path, write_plan


def make_job(  # noqa: PLR0917
    results: Path,
    stage: str,
    name: str,
    kind: str,
    settings: StrictModel,
    inputs: Inputs | None = None,
    execution: Execution | None = None,
) -> Job[Any, Any]:
    """One job, not yet run.

    Args:
        results: folder of the experiment's results.
        stage, name, kind: of the recipe; the kind as `unix_lib.jobs.job_kinds` takes it.
        settings: of the model that the kind of job has; what files from outside are is found out where it isn't said.
        inputs: artefacts by role, "stage/name-digest".
        execution: of a model with some of the fields that the kind of job has; the others have their defaults.
    """
    identified = '"identity":' in settings.model_dump_json(exclude_none=True)
    outside = None if identified else Outside(Path.cwd(), FileHashes(None))
    plan = Plan(Experiment.model_construct(experiment=results.name), outside=outside)
    artefact = plan.add(stage, name, kind, settings, inputs or {}, execution or Execution())
    write_plan(plan, results)
    recipe = plan.jobs[artefact].recipe.path(results)
    return Job.from_files(recipe, execution_path(recipe), results / artefact / MANIFEST)
