"""The jobs of a source, planned and made as the workflow does it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unix_lib.artefacts.manifest import MANIFEST, Manifest, open_artefact
from unix_lib.config.experiment import Experiment
from unix_lib.jobs.job import Job
from unix_lib.recipes.resolve import resolve
from unix_lib.recipes.workspace import execution_path, write_plan


@dataclass(frozen=True)
class Made:
    """One artefact of a source."""

    folder: Path
    manifest: Manifest


def source_jobs(
    results: Path, name: str, *, held_out: float | None = None, **settings: Any
) -> dict[str, Job[Any, Any]]:
    """The jobs of one source by what they make: `images`, `records`, `benchmarks`; not yet run.

    Settings left out take the config's defaults, and so does the share held out.
    """
    values: dict[str, Any] = {"experiment": results.name, "sources": {name: settings}}
    if held_out is not None:
        values["held_out"] = {"share": held_out}
    plan = resolve(Experiment.model_validate(values), Path.cwd())
    write_plan(plan, results)
    jobs = {}
    for artefact, job in plan.jobs.items():
        path = job.recipe.path(results)
        made = Job[Any, Any].from_files(path, execution_path(path), results / artefact / MANIFEST)
        jobs[job.recipe.kind.rpartition("/")[2]] = made
    return jobs


def make(results: Path, name: str, *, held_out: float | None = None, **settings: Any) -> dict[str, Made]:
    """Make a source and check what its jobs left."""
    made = {}
    for what, job in source_jobs(results, name, held_out=held_out, **settings).items():
        manifest = job.make()
        assert open_artefact(job.folder) == manifest
        files = {path.relative_to(job.folder).as_posix() for path in job.folder.rglob("*") if path.is_file()}
        assert files == {entry.path for entry in manifest.files} | {"manifest.json"}
        assert "rejected.parquet" in files
        made[what] = Made(job.folder, manifest)
    return made
