"""Tokenizes the records of a source, or of a part of one.

Work is cut into chunks of records. Each finished chunk is kept, sealed, in a work folder beside the artefact, so that a
killed job continues after its last whole chunk.
"""

import logging
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from unix_lib.artefacts.manifest import Manifest
from unix_lib.artefacts.sealed import is_whole, sealed_folder
from unix_lib.config.jobs import Execution
from unix_lib.config.tokenize import TokenizeSettings
from unix_lib.jobs.job import Job
from unix_lib.jobs.progress import Progress
from unix_lib.records.rejected import RejectedSamples
from unix_lib.records.schema import TOKENIZED
from unix_lib.records.shards import SPLITS, ShardWriter, Split, count_rows, iterate_batches
from unix_lib.tokenize.batch import COLUMNS, tokenize_batch
from unix_lib.tokenizers.text import load_text_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_log = logging.getLogger(__name__)
CHUNK_BATCHES = 8  # of 1,024 records: two to three seconds of captions
RECORDS_FILE = "records.parquet"  # of a chunk


def make_tokens(job: Job[TokenizeSettings, Execution]) -> Manifest:
    """Make `tokenize/<source>`: the tokens of both splits' records, those without usable text set aside."""
    # The tokenizer's thread pool reads this when it starts.
    os.environ.setdefault("RAYON_NUM_THREADS", str(job.shape.threads))
    tokenizer = load_text_tokenizer(job.input("text_tokenizer"))
    records = sum(count_rows(job.input("records"), split) for split in SPLITS)
    progress = Progress(records, "records", _log)
    rejected = RejectedSamples()
    files: dict[str, int | None] = {}
    facts: dict[str, dict[str, int]] = {}
    for split in SPLITS:
        text_tokens = 0
        with ShardWriter(job.folder, split, TOKENIZED) as writer:
            for chunk in _chunks(job, split, tokenizer, progress):
                records = pq.read_table(chunk / RECORDS_FILE)
                writer.write_table(records)
                text_tokens += pc.sum(pc.list_value_length(records["tokens"])).as_py() or 0
                rejected.extend_from(chunk)
        files |= writer.files
        facts[split] = {"records": sum(writer.files.values()), "text_tokens": text_tokens}
    manifest = job.finish(
        {**files, **rejected.write(job.folder)},
        rejected=rejected.counts,
        facts=facts,
        metrics={"records_per_second": round(progress.per_second)},
    )
    job.clear_work()
    return manifest


def _chunks(
    job: Job[TokenizeSettings, Execution], split: Split, tokenizer: "PreTrainedTokenizerFast", progress: Progress
) -> Iterator[Path]:
    """Sealed folders of a split's tokenized records; those that an earlier attempt left whole are not made again."""
    batches = iterate_batches(job.input("records"), split, COLUMNS)
    number = 0
    while chunk := list(islice(batches, CHUNK_BATCHES)):
        kept = job.work / f"{split}-{number:06d}"
        anew = not is_whole(kept)
        if anew:
            with sealed_folder(kept) as folder:
                _tokenize(chunk, tokenizer, job, split, folder)
        records = sum(batch.num_rows for batch in chunk)
        progress.advance(records, known=0 if anew else records)
        yield kept
        number += 1


def _tokenize(
    batches: list[pa.RecordBatch],
    tokenizer: "PreTrainedTokenizerFast",
    job: Job[TokenizeSettings, Execution],
    split: Split,
    folder: Path,
) -> None:
    """Write the tokens of some records into a folder."""
    rejected = RejectedSamples()
    with pq.ParquetWriter(folder / RECORDS_FILE, TOKENIZED) as records:
        for batch in batches:
            tokenized = tokenize_batch(batch, tokenizer, job.settings.template)
            records.write_table(tokenized.records)
            for sample_id, reason, detail in tokenized.faults:
                rejected.add(sample_id, split, reason, detail)
    rejected.write(folder)
