"""Makes the scores of a checkpoint's answers to a group of benchmarks; no checkpoint is loaded."""

import logging
import time
from pathlib import Path

from unix_lib.artefacts.code import require_logic_version
from unix_lib.artefacts.manifest import Facts, Manifest
from unix_lib.config.evaluate import JudgingExecution, ScorerKind, ScoresSettings
from unix_lib.config.kinds import find_kind, imported
from unix_lib.config.shipped import file_at
from unix_lib.evaluate.benchmark import Answers, BenchmarkResult
from unix_lib.evaluate.geneval_results import write_results
from unix_lib.evaluate.tables import READINGS, SAMPLES, SCORES, VERDICTS, origin_of, score_rows, write_table
from unix_lib.jobs.job import Job
from unix_lib.records.rejected import RejectedSamples
from unix_lib.records.schema import Row

log = logging.getLogger(__name__)


def make_scores(job: Job[ScoresSettings, JudgingExecution]) -> Manifest:
    """Make `evaluate/<run>-step-00100-<group>`.

    Raises:
        UserError: a benchmark that can't be scored, with the reason.
    """
    rejected = RejectedSamples()
    scores: list[Row] = []
    verdicts: list[Row] = []
    readings: list[Row] = []
    files: dict[str, int | None] = {}
    headline: dict[str, float | None] = {}
    benchmarks: dict[str, Facts] = {}
    data_sets: dict[str, list[str]] = {}
    seconds: dict[str, float] = {}
    for name, settings in job.settings.benchmarks.items():
        started = time.monotonic()
        kind = find_kind("scorer", settings.scorer, ScorerKind)
        require_logic_version(f"scorer '{settings.scorer}'", settings.scorer_version, kind.logic_version)
        answers = Answers(
            name=name,
            settings=settings,
            folder=job.input(f"answers:{name}"),
            source=job.input(f"benchmark:{name}") if f"benchmark:{name}" in job.recipe.inputs else None,
            bootstrap_samples=job.settings.bootstrap_samples,
            work=job.work / name,
            judges=job.execution.judges,
            judging=job.input(f"judging:{name}") if f"judging:{name}" in job.recipe.inputs else None,
            kept=Path(job.execution.judged),
        )
        result: BenchmarkResult = imported(kind.score)(answers)
        origin = origin_of(answers.folder)
        measured = score_rows(origin, name, result.scores, result.protocol, result.judge)
        scores += measured
        for other in result.others:
            scores += score_rows(origin, name, other.scores, other.protocol, other.judge)
        verdicts += [row | {"benchmark": name} for row in result.verdicts]
        readings += [row | {"benchmark": name} for row in result.readings]
        if result.rejected:
            first = result.rejected[0].reason
            log.warning("%s: set aside %d rows or images, the first as %s", name, len(result.rejected), first)
        for row in result.rejected:
            rejected.add(row.sample_id, row.origin, row.reason, row.detail)
        path = f"samples/{name}.parquet"
        files[path] = write_table(result.samples, SAMPLES, job.folder / path)
        if result.lines:
            files |= write_results(result.lines, job.folder / "results", name)
        headline |= {f"{name}/{row['metric']}": row["value"] for row in measured}
        benchmarks[name] = {
            "family": kind.family,
            "local": settings.source is not None,  # this experiment made its questions
            "by_task": settings.by_task,
            "protocol": result.protocol,
            "judge": result.judge,
        }
        if settings.file is not None:  # as everybody's sha256sum has it
            benchmarks[name]["file_sha256"] = job.outside.hashes.of(file_at(settings.file))
        if result.data_sets:
            data_sets[name] = result.data_sets
        seconds[name] = round(time.monotonic() - started, 2)
        log.info("%s: %s %s (%.1f s)", name, measured[0]["metric"], measured[0]["value"], seconds[name])
    files["scores.parquet"] = write_table(scores, SCORES, job.folder / "scores.parquet")
    if verdicts:
        files["verdicts.parquet"] = write_table(verdicts, VERDICTS, job.folder / "verdicts.parquet")
    if readings:
        files["readings.parquet"] = write_table(readings, READINGS, job.folder / "readings.parquet")
    files |= rejected.write(job.folder)
    facts = {"run": job.settings.run, "step": job.settings.step, "scores": headline, "benchmarks": benchmarks}
    manifest = job.finish(
        files,
        rejected=rejected.counts,
        facts=facts | ({"data_sets": data_sets} if data_sets else {}),
        metrics={"seconds": seconds},
    )
    job.clear_work()
    return manifest
