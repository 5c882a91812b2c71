"""What no config reaches any more: old artefacts, their recipes, logs and work folders."""

import re
import shutil
from pathlib import Path

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import PARTS
from unix_lib.artefacts.recipe import EarlierRecipe, read_recipe, recipe_of
from unix_lib.config.train import CheckpointSettings, run_folder_name
from unix_lib.jobs.attempts import ATTEMPTS
from unix_lib.recipes.plan import STAGES, Plan

JOB_FILE = re.compile(r"\.(execution\.json|standing\.json|json|log|log\.\d+|tsv|lock)$")
JOB_FOLDERS = ("recipes", "made", "logs", "benchmarks")  # in each a folder per stage, with files named after its jobs


def unreached(plans: list[Plan], results: Path) -> list[Path]:
    """Everything below `results/<experiment>` that belongs to none of the plans of that experiment.

    A folder in `work/<stage>/` belongs to a plan when it is named after one of its artefacts or runs.
    """
    reached = {artefact for plan in plans for artefact in plan.jobs}
    keys = {artefact.partition("/")[2] for artefact in reached}
    work_keys = keys | {
        run_folder_name(job.settings.run, job.settings.run_digest)
        for plan in plans
        for job in plan.jobs.values()
        if isinstance(job.settings, CheckpointSettings)
    }
    found = list(results.glob(PARTS))
    for stage in STAGES:
        found += [p for p in (results / stage).glob("*") if f"{stage}/{p.name}" not in reached]
        found += [p for p in (results / "work" / stage).glob("*") if JOB_FILE.sub("", p.name) not in work_keys]
        for folder in (*(f"{name}/{stage}" for name in JOB_FOLDERS), f"logs/{stage}/{ATTEMPTS}"):
            files = (results / folder).glob("*")
            found += [p for p in files if p.name != ATTEMPTS and JOB_FILE.sub("", p.name) not in keys]
    return sorted(found)


def is_earlier(path: Path) -> bool:
    """Whether an artefact's folder or a recipe was made by an earlier version of the library."""
    try:
        if path.is_dir():
            recipe_of(path)
        elif path.suffix == ".json":
            read_recipe(path)
    except EarlierRecipe:
        return True
    except UserError:
        return False
    return False


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(p.stat().st_size for p in files if p.is_file() and not p.is_symlink())


def remove(paths: list[Path]) -> None:
    """Delete what `unreached` found."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
