"""A plan on disk: its recipes, the execution settings of its jobs, their digests, and the links to today's results.

Recipes are written once. Execution settings (threads, GPUs, logging: what never changes results) may change
between two runs and are rewritten; a job reads them from its own file, so editing the config during a run
reaches no job that was already planned.
"""

import json
import logging
import shutil
from pathlib import Path

from unix_lib.artefacts.files import point_link, replace_where_changed
from unix_lib.artefacts.manifest import MANIFEST
from unix_lib.artefacts.recipe import Recipe, read_recipe, write_recipe
from unix_lib.artefacts.sealed import sealed_text
from unix_lib.config.generate import SAMPLING, ImageSampling
from unix_lib.config.jobs import JobShape
from unix_lib.jobs.job import read_execution
from unix_lib.recipes.plan import STAGES, Plan

PLANNED = "planned.json"  # in results/<experiment>

logger = logging.getLogger(__name__)


def execution_path(recipe_path: Path) -> Path:
    """Where a job's execution settings are, beside its recipe."""
    return recipe_path.with_suffix(".execution.json")


def write_plan(plan: Plan, results: Path) -> None:
    """Write every recipe and execution file of a plan, and the digests of its recipes."""
    write_jobs(plan, results)
    write_planned(plan, results)


def write_jobs(plan: Plan, results: Path) -> None:
    """Write every recipe and execution file of a plan below `results/<experiment>/recipes`."""
    for job in plan.jobs.values():
        write_recipe(job.recipe, results)
        execution = job.execution.model_dump(mode="json")
        replace_where_changed(execution_path(job.recipe.path(results)), sealed_text(execution))


def write_planned(plan: Plan, results: Path) -> None:
    """Write the digests of a plan's recipes by stage and name.

    They are all that Snakemake decides by. DVC, which decides before it, compares them with those that a stage was made
    from: a config's bytes say nothing of what it extends, of files from outside and of logic versions.
    """
    replace_where_changed(results / PLANNED, json.dumps(planned_digests(plan), indent=2, sort_keys=True) + "\n")


def planned_digests(plan: Plan) -> dict[str, dict[str, str]]:
    """Digests of a plan's recipes, as paths have them, by stage and name."""
    planned: dict[str, dict[str, str]] = {stage: {} for stage in STAGES}
    for job in plan.jobs.values():
        planned[job.recipe.stage][job.recipe.name] = job.recipe.key.rpartition("-")[2]
    return planned


def read_digests(results: Path) -> dict[str, dict[str, str]]:
    """What `write_planned` wrote."""
    digests: dict[str, dict[str, str]] = json.loads((results / PLANNED).read_text(encoding="utf-8"))
    return digests


def read_shape(recipe_path: Path) -> JobShape:
    """The shape of a job that the main process has planned."""
    return JobShape.model_validate(read_execution(execution_path(recipe_path))["job"])


def read_planned(results: Path, stage: str, key: str) -> Recipe:
    """The recipe of `stage/key`, from disk."""
    return read_recipe(results / "recipes" / stage / f"{key}.json")


def unfinished(plan: Plan, results: Path) -> list[str]:
    """Artefacts of a plan that have no manifest; a job that makes several counts until all of them have one."""
    missing = [artefact for artefact in plan.jobs if not (results / artefact / MANIFEST).is_file()]
    makers = {plan.jobs[artefact].made_by for artefact in missing}
    return [artefact for artefact in plan.jobs if artefact in makers or artefact in missing]


def link_current(plan: Plan, results: Path) -> None:
    """Point `current/<stage>/<name>` at the plan's finished artefacts and drop links of anything else.

    Finished checkpoints are told how the experiment samples images now; that is not in their manifests.
    """
    sampling = plan.experiment.generate.image_sampling.narrowed(ImageSampling).model_dump(mode="json")
    for artefact in plan.of_stage("train"):
        if (results / artefact / MANIFEST).is_file():
            replace_where_changed(results / artefact / SAMPLING, sealed_text(sampling))
    current = results / "current"
    wanted = {
        current / job.recipe.stage / job.recipe.name: Path("..") / ".." / artefact
        for artefact, job in plan.jobs.items()
        if job.recipe.kind != "group" and (results / artefact / MANIFEST).is_file()
    }
    for link in current.glob("*/*"):
        if link.is_symlink() and link not in wanted:
            link.unlink()
        elif not link.is_symlink() and _is_copy(link, results / link.parent.name):
            shutil.rmtree(link)
    for link, target in wanted.items():
        if link.is_symlink() and link.readlink() == target:
            continue
        if link.is_dir() and not link.is_symlink():
            logger.warning("%s is no link to %s but a folder of its own, which is left; move it away", link, target)
        elif not point_link(link, target):
            logger.warning("%s: no links on this file system; results are in %s/<stage>", current, results)
            return


def _is_copy(folder: Path, stage: Path) -> bool:
    """Whether a folder holds nothing but an artefact's files: results were copied with links followed."""
    if not (folder / MANIFEST).is_file():
        return False
    manifest = (folder / MANIFEST).read_bytes()
    originals = [path.parent for path in stage.glob(f"{folder.name}-*/{MANIFEST}") if path.read_bytes() == manifest]
    names = {path.relative_to(folder) for path in folder.rglob("*")}
    return any(all((original / name).exists() for name in names) for original in originals)
