"""What the jobs that let a checkpoint answer a benchmark share: the checkpoint, the benchmark's file, the end.

Such a job is run by itself, or by its group, which gives it the checkpoint that it has loaded already.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from unix_lib.artefacts.files import atomic_path
from unix_lib.artefacts.manifest import Manifest, open_artefact, read_manifest
from unix_lib.artefacts.recipe import RecipeError
from unix_lib.benchmarks.files import benchmark_file
from unix_lib.benchmarks.settings import AskedSettings
from unix_lib.checkpoints.loaded import ORIGIN, Checkpoint
from unix_lib.config.generate import DecodingExecution, Worded
from unix_lib.jobs.job import Job
from unix_lib.records.rejected import RejectedSamples
from unix_lib.tokenizers.image import device_of


def checkpoint_of(jobs: Sequence[Job[Any, DecodingExecution]]) -> Checkpoint:
    """The checkpoint that some jobs share, its files and those of its image tokenizer checked.

    Raises:
        RecipeError: they are of several checkpoints. ArtefactError: a damaged one.
    """
    folders: dict[str, Path] = {}
    for role in ("checkpoint", "image_tokenizer"):
        named = {artefact: job.results / artefact for job in jobs for artefact in job.recipe.in_role(role)}
        if len(named) > 1:
            raise RecipeError(f"{jobs[0].recipe.artefact}: a group of several {role}s; run the workflow again")
        for folder in named.values():
            open_artefact(folder)
            folders[role] = folder
    execution = jobs[0].execution
    tokenizer = folders.get("image_tokenizer")  # absent where no benchmark has images
    worded = [job.settings.wording for job in jobs if isinstance(job.settings, Worded)]  # all alike: of one run
    device = device_of(execution.job)
    return Checkpoint(
        folders["checkpoint"],
        tokenizer,
        execution.batch_size,
        device,
        next(iter(worded), None),
        batch_invariant=execution.batch_invariant,
    )


def asked_file(job: Job[Any, Any], made: str) -> Path:
    """The file with what a job asks, whose settings are `AskedSettings`; a source calls it `made`.

    Raises:
        BenchmarkError: there is none.
    """
    settings: AskedSettings = job.settings
    source = job.input("benchmark") if "benchmark" in job.recipe.inputs else None
    return benchmark_file(job.recipe.name, made, source, settings.file)


class Answering(Protocol):
    """Who answered."""

    folder: Path  # artefact of stage train


def finish(
    job: Job[Any, Any],
    checkpoint: Answering,
    file: str,
    answers: pa.Table,
    rejected: RejectedSamples | None = None,
    **facts: Any,
) -> Manifest:
    """Write a checkpoint's answers with whose they are, and let go of what a killed job would have resumed from.

    `rejected`, where it is not empty, goes beside them: what was asked for and never can be had.
    """
    with atomic_path(job.folder / file) as temporary:
        pq.write_table(answers.combine_chunks(), temporary)
    trained = read_manifest(checkpoint.folder).facts
    origin = {name: trained[name] for name in ORIGIN}
    files: dict[str, int | None] = {file: answers.num_rows}
    if rejected:
        files |= rejected.write(job.folder)
    manifest = job.finish(files, rejected=rejected.counts if rejected else None, facts=origin | facts)
    job.clear_work()
    return manifest
