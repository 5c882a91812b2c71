"""Makes the analyses: opens an analysis job's inputs and writes its table."""

import logging
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from unix_lib.analyze.conflict_kind import ConflictSettings
from unix_lib.analyze.entropy import conditional_entropies
from unix_lib.analyze.entropy_kind import EntropySettings
from unix_lib.analyze.errors import AnalysisError
from unix_lib.analyze.token_sequences import SourceSequences, read_sequences
from unix_lib.artefacts.files import atomic_path
from unix_lib.artefacts.manifest import Manifest
from unix_lib.config.jobs import Execution, JobShape
from unix_lib.evaluate.tables import null_for_nan, origin_of, write_table
from unix_lib.jobs.job import Job
from unix_lib.records.schema import Row

logger = logging.getLogger(__name__)

ENTROPY_TABLE, CONFLICT_TABLE, PRECISION_TABLE = "entropy.parquet", "conflict.parquet", "precision.parquet"
LEAST_BUDGET = 100  # below this every estimate is noise
CURVE_STEP = 10**0.5  # the curve over sample size has two points a decade


def make_entropy(job: Job[EntropySettings, Execution]) -> Manifest:
    """Conditional entropy of every source at one token budget, and its curve over sample size.

    Raises:
        AnalysisError: a source has nothing to measure, or too little.
    """
    settings = job.settings
    tokenizer_file = job.input("text_tokenizer") / "tokenizer" / "tokenizer.json"
    records, codes = job.roles("records"), job.roles("codes")
    job.work.mkdir(parents=True, exist_ok=True)
    read = {
        source: read_sequences(
            source,
            records[source],
            codes.get(source, []),
            tokenizer_file=tokenizer_file,
            budget=settings.budget,
            seed=settings.seed,
            folder=job.work,
        )
        for source in settings.sources
    }
    smallest = min(read, key=lambda source: len(read[source].tokens))
    budget = min(settings.budget, len(read[smallest].tokens))
    if budget < LEAST_BUDGET:
        raise AnalysisError(
            f"source '{smallest}' has only {budget} tokens, and all sources are compared at the smallest one's "
            f"number; remove it from analyze.entropy.sources or give it at least {LEAST_BUDGET}"
        )
    if budget < settings.budget:
        logger.info("budget lowered from %d to %d tokens, all that '%s' has", settings.budget, budget, smallest)
    rows = list(_entropy_rows(read, budget, settings, job.shape))
    write_table(rows, ENTROPY_SCHEMA, job.folder / ENTROPY_TABLE)
    facts = {"budget": budget, "asked_budget": settings.budget, "smallest_source": smallest}
    manifest = job.finish({ENTROPY_TABLE: len(rows)}, facts=facts)
    job.clear_work()
    return manifest


ENTROPY_SCHEMA = pa.schema(
    [
        pa.field("source", pa.string()),
        pa.field("modality", pa.string()),
        pa.field("n", pa.int32()),
        pa.field("tokens", pa.int64()),
        pa.field("sequences", pa.int64()),
        pa.field("plug_in", pa.float64()),  # bits
        pa.field("corrected", pa.float64()),
        pa.field("plug_in_standard_error", pa.float64()),  # jackknife over sequences; at the budget only
        pa.field("corrected_standard_error", pa.float64()),
        pa.field("coverage", pa.float64()),  # Good-Turing share of the n-gram distribution that was seen
        pa.field("budget", pa.bool_()),
    ]
)


def _entropy_rows(
    read: dict[str, SourceSequences], budget: int, settings: EntropySettings, shape: JobShape
) -> Iterator[Row]:
    sizes = sorted({max(LEAST_BUDGET, round(budget / CURVE_STEP**k)) for k in range(settings.sample_sizes)})
    memory = shape.memory_mb * 10**6 // 2  # the other half is the libraries' and the largest bucket's
    for source, given in read.items():
        for size in sizes:
            tokens, lengths = given.first(size)
            for estimate in conditional_entropies(
                tokens, lengths, settings.orders, with_errors=size == budget, threads=shape.threads, memory=memory
            ):
                measured = {name: null_for_nan(value) for name, value in vars(estimate).items()}
                row = {"source": source, "modality": given.modality, "tokens": size, "sequences": len(lengths)}
                yield row | measured | {"budget": size == budget}
        logger.info("entropy of '%s': %d tokens at %d sample sizes", source, budget, len(sizes))


def make_conflict(job: Job[ConflictSettings, Execution]) -> Manifest:
    """Gradient conflict of one checkpoint; see `unix_lib.analyze.conflict`."""
    checkpoint, pack = job.input("checkpoint"), job.input("pack")
    from unix_lib.analyze.conflict_of_checkpoint import conflict_of_checkpoint  # imports torch

    measured = conflict_of_checkpoint(checkpoint / "model", pack, job.settings, job.shape, job.work)
    described = vars(origin_of(checkpoint))
    tables = {CONFLICT_TABLE: measured.table, PRECISION_TABLE: measured.precision}
    made = {name: _described(table, described) for name, table in tables.items() if table is not None}
    for name, table in made.items():
        with atomic_path(job.folder / name) as path:
            pq.write_table(table, path)
    manifest = job.finish({name: len(table) for name, table in made.items()}, facts=described | measured.facts)
    job.clear_work()
    return manifest


def _described(table: pa.Table, described: Row) -> pa.Table:
    """A table with whose it is in its first columns."""
    for position, (column, value) in enumerate(described.items()):
        table = table.add_column(position, column, pa.array([value] * len(table)))
    return table
