"""A job of the `sources` stage, made as the workflow makes it."""

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from unix_lib.jobs.job import Job
from unix_lib.artefacts.manifest import Manifest, open_artefact
from unix_lib.config.sources import SourceConfig
from unix_lib.artefacts.recipe import Recipe, write_recipe
from unix_lib.sources.make import make_source


def source_job(results: Path, name: str, **settings: Any) -> Job:
    """A job for one source; settings left out take the config's defaults."""
    config = TypeAdapter(SourceConfig).validate_python(settings)
    recipe = Recipe("sources", name, 1, config.semantic())
    write_recipe(recipe, results)
    execution = results / "execution.json"
    execution.write_text(json.dumps({"job": {"threads": 1}}), encoding="utf-8")
    return Job.from_files(recipe.path(results), execution, results / recipe.artefact / "manifest.json")


def make(results: Path, name: str, **settings: Any) -> tuple[Path, Manifest]:
    """Make a source and check what it left; returns its folder and manifest."""
    job = source_job(results, name, **settings)
    manifest = make_source(job)
    assert open_artefact(job.folder) == manifest
    assert {path.relative_to(job.folder).as_posix() for path in job.folder.rglob("*") if path.is_file()} == {
        entry.path for entry in manifest.files
    } | {"manifest.json"}
    return job.folder, manifest
