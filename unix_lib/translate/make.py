"""Makes translations of a source's records and benchmarks: rows in are rows translated and rows set aside.

What a model answered is kept outside the results, so that a killed job asks for the rest only, and an artefact that
was deleted comes back as it was.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unix_lib.artefacts.manifest import Manifest
from unix_lib.config.translate import TranslatedBenchmarks, TranslatedRecords, TranslateExecution
from unix_lib.jobs.job import Job
from unix_lib.records.rejected import REJECTED_FILE, RejectedSamples
from unix_lib.records.schema import RECORD
from unix_lib.records.shards import SPLITS, ShardWriter, Split, iterate_rows
from unix_lib.translate.benchmark_files import LAYOUTS, NOTHING, benchmark_items, write_benchmark
from unix_lib.translate.errors import TranslateError
from unix_lib.translate.rows import Item, texts_of, translated
from unix_lib.translate.translator import Translator

RECORD_PATHS = {"text": "text", "messages.content": "messages"}


def make_records(job: Job[TranslatedRecords, TranslateExecution]) -> Manifest:
    """Make `translate/<translation>`: the source's records, schema RECORD, in the same split and on the same images.

    Raises:
        TranslateError: an endpoint that is not there or refuses, or not one record whose translation counts.
    """
    records, rejected = job.input("records"), RejectedSamples()
    files: dict[str, int | None] = {}
    facts: dict[str, int] = {}
    with translator_of(job) as translator:
        for split in SPLITS:
            with ShardWriter(job.folder, split, RECORD) as writer:
                for item in translated(record_items(records, split), RECORD_PATHS, translator.translate, rejected):
                    writer.write(item.values | {"source": job.settings.translation})
            files |= writer.files
            facts[f"{split}_records"] = writer.rows
    return _finish(job, translator, files, facts, rejected)


def make_benchmarks(job: Job[TranslatedBenchmarks, TranslateExecution]) -> Manifest:
    """Make `translate/<translation>-benchmarks`: files in the layout of the source's, with translated questions.

    Raises:
        TranslateError: as in `make_records`, or the source has no such file.
    """
    source, rejected = job.input("benchmarks"), RejectedSamples()
    files: dict[str, int | None] = {}
    facts: dict[str, int] = {}
    with translator_of(job) as translator:
        for name in job.settings.benchmarks:
            written = write_benchmark(name, source, job.folder, translator.translate, rejected)
            files |= written
            facts[name] = written[f"benchmarks/{LAYOUTS[name].file}"] or 0
    return _finish(job, translator, files, facts, rejected)


def texts_of_job(settings: TranslatedRecords, folder: Path) -> Iterator[str]:
    """All texts that a job translates; `folder` is its input."""
    if isinstance(settings, TranslatedBenchmarks):
        for name in settings.benchmarks:
            for item in benchmark_items(name, folder):
                yield from (text for text in texts_of(item, LAYOUTS[name].columns) if text not in NOTHING)
    else:
        for split in SPLITS:
            for item in record_items(folder, split):
                yield from texts_of(item, RECORD_PATHS)


def translator_of(job: Job[Any, TranslateExecution]) -> Translator:
    """What translates for a job."""
    return Translator(job.recipe.name, job.settings, job.execution.endpoint, Path(job.execution.answers))


def record_items(folder: Path, split: Split) -> Iterator[Item]:
    """The records of a split."""
    for number, row in enumerate(iterate_rows(folder, split), start=1):
        yield Item(row["sample_id"], f"{split} row {number}", number, row)


def _finish(
    job: Job[Any, TranslateExecution],
    translator: Translator,
    files: dict[str, int | None],
    facts: dict[str, int],
    rejected: RejectedSamples,
) -> Manifest:
    if len(rejected) and not any(facts.values()):
        rejected.write(job.folder)
        reasons = ", ".join(f"{count} x {reason}" for reason, count in rejected.counts.items())
        raise TranslateError(
            f"{job.recipe.artefact}: not one row has a translation ({reasons}); see {job.folder / REJECTED_FILE}, and "
            "correct the model, the instructions or the parameters"
        )
    return job.finish(
        {**files, **rejected.write(job.folder)},
        rejected=rejected.counts,
        facts={"model": job.settings.model, "language": job.settings.language, **facts},
        metrics=translator.metrics,
    )
