"""Tokenizes one split of a mixture's sources into its token store; a job that was killed later finds it again."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from unix_lib.artefacts.sealed import is_whole, sealed_folder
from unix_lib.config.jobs import Execution
from unix_lib.config.pack import PackSettings
from unix_lib.jobs.job import Job
from unix_lib.pack.records import Records
from unix_lib.pack.spool import Spool
from unix_lib.pack.store import STORE_FILES, store_file
from unix_lib.pack.tokenized import COLUMNS, UnusableRecord, tokenize_batch
from unix_lib.records.rejected import REJECTED_FILE, RejectedSamples
from unix_lib.records.shards import Split, count_rows, iterate_batches
from unix_lib.tokenizers.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_log = logging.getLogger(__name__)
LOG_SECONDS = 10.0
IDS_AT_A_TIME = 1 << 16
RECORDS_FILE, IDS_FILE = "records.arrow", "ids.parquet"


@dataclass(frozen=True)
class TokenizedSplit:
    """A split's usable records, and those set aside."""

    records: Records
    rejected: RejectedSamples
    folder: Path  # where their ids are

    def ids_of(self, records: Sequence[int]) -> list[str]:
        """Ids of some samples by their positions."""
        ids: list[str] = (
            pq.read_table(self.folder / IDS_FILE)["sample_id"].take(pa.array(records, pa.int64())).to_pylist()
        )
        return ids


def tokenize_split(
    job: Job[PackSettings, Execution], split: Split, tokenizer: "PreTrainedTokenizerFast", vocabulary: Vocabulary
) -> TokenizedSplit:
    """Write a split's token store to the job's folder, unless a job that was killed has done it."""
    kept = job.work / split
    if not is_whole(kept):
        with sealed_folder(kept, also=[job.folder / store_file(split, name) for name in STORE_FILES]) as folder:
            rejected = RejectedSamples()
            ids = pq.ParquetWriter(folder / IDS_FILE, pa.schema({"sample_id": pa.string()}))
            with Spool(job.folder, split, vocabulary) as spool, ids:
                _fill(spool, job, tokenizer, rejected, ids)
                spool.seal().write(folder / RECORDS_FILE)
            rejected.write(folder)
    rejected = RejectedSamples()
    for row in pq.read_table(kept / REJECTED_FILE).to_pylist():
        rejected.add(**row)
    return TokenizedSplit(Records.read(kept / RECORDS_FILE), rejected, kept)


def _fill(
    spool: Spool,
    job: Job[PackSettings, Execution],
    tokenizer: "PreTrainedTokenizerFast",
    rejected: RejectedSamples,
    ids: pq.ParquetWriter,
) -> None:
    """Tokenize all parts of the mixture; unusable records are set aside."""
    parts, records, codes, split = job.settings.parts, job.roles("records"), job.roles("codes"), spool.split
    total = sum(count_rows(folder, split) for part in parts for folder in records[part.source])
    started = logged = time.monotonic()
    done = 0
    kept: list[str] = []
    for number, part in enumerate(parts):
        images = spool.add_codes(codes.get(part.source, []))
        for batch in chain.from_iterable(iterate_batches(folder, split, COLUMNS) for folder in records[part.source]):
            chosen = batch.filter(pc.is_in(batch["kind"], pa.array(part.kinds))) if part.kinds else batch
            for record in tokenize_batch(chosen, images, tokenizer, spool.vocabulary.eos_id, job.settings.template):
                if isinstance(record, UnusableRecord):
                    rejected.add(record.sample_id, f"{part.source}/{split}", record.reason, record.detail)
                else:
                    spool.append(record, number, part.source)
                    kept.append(record.sample_id)
            if len(kept) >= IDS_AT_A_TIME:
                kept = _written(kept, ids)
            done += batch.num_rows
            now = time.monotonic()
            if now - logged >= LOG_SECONDS:
                rate = done / (now - started)
                _log.info("%s: %d of %d records, %.0f/s, %.0f s left", split, done, total, rate, (total - done) / rate)
                logged = now
    _written(kept, ids)
    _log.info("%s: %d records in %.1f s", split, done, time.monotonic() - started)


def _written(sample_ids: list[str], ids: pq.ParquetWriter) -> list[str]:
    """Write some ids down; returns those that are left, none."""
    ids.write_table(pa.table({"sample_id": pa.array(sample_ids, pa.string())}))
    return []
