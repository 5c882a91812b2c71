"""The `evaluate` stage: a group of benchmarks on one checkpoint, or the ceiling that a benchmark can reach at all.

What flows in: a checkpoint, the image tokenizer, the benchmarks' files. What flows out: `scores.parquet`,
`samples/<benchmark>.parquet`, for GenEval `images.parquet`, and `rejected.parquet`. What a model gave is kept by
benchmark in an undeclared folder (see `store`), so a killed job goes on, and a group that gains a benchmark computes
only that one.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from unix_lib.artefacts.manifest import Manifest
from unix_lib.checkpoints.loaded import Checkpoint
from unix_lib.config.outside import require_unchanged
from unix_lib.evaluate.benchmark import BenchmarkError, BenchmarkResult, BenchmarkTask
from unix_lib.evaluate.ceiling import make_ceiling
from unix_lib.evaluate.generation import score_geneval
from unix_lib.evaluate.questions import score_questions
from unix_lib.evaluate.store import SampleStore
from unix_lib.evaluate.tables import IMAGES, SAMPLES, SCORES, origin_of, score_rows, write_table
from unix_lib.evaluate.text import score_text
from unix_lib.jobs.job import Job
from unix_lib.records.rejected import RejectedSamples

log = logging.getLogger(__name__)
SCORERS: dict[str, Callable[[BenchmarkTask], BenchmarkResult]] = {
    "lm_eval": score_text,
    "yes_no": score_questions,
    "multiple_choice": score_questions,
    "geneval": score_geneval,
}


def make_evaluation(job: Job) -> Manifest:
    """Make an evaluation or, for a recipe named `ceiling-<benchmark>`, a ceiling.

    Raises:
        UserError: a benchmark that can't be scored, with the reason.
    """
    if job.recipe.name.startswith("ceiling-"):
        return make_ceiling(job)
    return _make_scores(job)


def _make_scores(job: Job) -> Manifest:
    from unix_lib.tokenizers.image import device_of

    folder = job.input("checkpoint")
    image_tokenizer = job.input("image_tokenizer") if "image_tokenizer" in job.recipe.inputs else None
    checkpoint = Checkpoint(folder, image_tokenizer, job.execution.get("batch_size", 64), device_of(job.execution))
    origin = origin_of(folder)
    rejected = RejectedSamples()
    scores: list[dict[str, Any]] = []
    images: list[dict[str, Any]] = []
    files: dict[str, int | None] = {}
    headline: dict[str, float | None] = {}
    seconds: dict[str, float] = {}
    data_sets: dict[str, list[str]] = {}
    for name, settings in job.settings["benchmarks"].items():
        started = time.monotonic()
        result = SCORERS[settings["scorer"]](_task(job, name, settings, checkpoint))
        measured = score_rows(origin, name, result.scores)
        scores += measured
        images += result.images
        if result.data_sets:
            data_sets[name] = result.data_sets
        for row in result.rejected:
            rejected.add(row.sample_id, row.origin, row.reason, row.detail)
        path = f"samples/{name}.parquet"
        files[path] = write_table(result.samples, SAMPLES, job.folder / path)
        headline |= {f"{name}/{row['metric']}": row["value"] for row in measured}
        seconds[name] = round(time.monotonic() - started, 2)
        log.info("%s: %s %.3f (%.1f s)", name, measured[0]["metric"], measured[0]["value"], seconds[name])
    files["scores.parquet"] = write_table(scores, SCORES, job.folder / "scores.parquet")
    if images:
        files["images.parquet"] = write_table(images, IMAGES, job.folder / "images.parquet")
    files |= rejected.write(job.folder)
    facts = {"run": job.settings["run"], "step": job.settings["step"], "scores": headline}
    return job.finish(
        files,
        rejected=rejected.counts,
        facts=facts | ({"data_sets": data_sets} if data_sets else {}),
        metrics={"seconds": seconds},
    )


def _task(job: Job, name: str, settings: dict[str, Any], checkpoint: Checkpoint) -> BenchmarkTask:
    """One benchmark with its files checked."""
    role = f"benchmark:{name}"
    has_source = role in job.recipe.inputs
    # What decides this benchmark's results on this checkpoint; the group's other benchmarks don't.
    identity = {
        "settings": settings,
        "inputs": {key: job.recipe.inputs[key] for key in (role, "image_tokenizer") if key in job.recipe.inputs},
    }

    def open_store(schema: pa.Schema) -> SampleStore:
        key = Path(str(job.recipe.inputs["checkpoint"])).name
        return SampleStore(job.results / "work" / "evaluate", key, identity, schema)

    return BenchmarkTask(
        name=name,
        settings=settings,
        source=job.input(role) if has_source else None,
        file=_fetched_file(name, settings),
        checkpoint=checkpoint,
        open_store=open_store,
        bootstrap_samples=job.settings["bootstrap_samples"],
    )


def _fetched_file(name: str, settings: dict[str, Any]) -> Path | None:
    """The benchmark's fetched file, unchanged since the plan was made.

    Raises:
        UserError: missing or changed.
    """
    if settings.get("file") is None:
        return None
    path = Path(settings["file"])
    if not path.exists():
        raise BenchmarkError(
            f"evaluate.benchmarks.{name}: {path} is missing; `python -m unix_lib fetch <config>` gets it"
        )
    require_unchanged(f"evaluate.benchmarks.{name}.file", path, settings["identity"])
    return path
