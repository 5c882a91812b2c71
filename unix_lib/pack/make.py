"""The `pack` stage: a mixture's records to packs of whole documents, for every epoch planned ahead.

What flows in: encoded records, the text tokenizer, the vocabulary. What flows out: `epoch-000.arrow` ..., and
`heldout.arrow`. Records are tokenized once; each epoch draws its documents, plans on their lengths and writes. A job
that was killed keeps the epochs it finished.
"""

import json
import logging
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from unix_lib.artefacts.files import write_json
from unix_lib.artefacts.manifest import Manifest
from unix_lib.jobs.job import Job
from unix_lib.pack.epochs import HELDOUT, choose_documents
from unix_lib.pack.planner import PackError, best_fit
from unix_lib.pack.reader import HELDOUT_FILE, epoch_file
from unix_lib.pack.sequences import FixedParts, Format
from unix_lib.pack.spool import Spool
from unix_lib.pack.tokenized import COLUMNS, UnusableRecord, tokenize_batch
from unix_lib.pack.writer import write_packs
from unix_lib.records.rejected import RejectedSamples
from unix_lib.records.shards import Split, count_rows, iterate_batches, shard_paths
from unix_lib.tokenizers.text import load_text_tokenizer
from unix_lib.tokenizers.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_log = logging.getLogger(__name__)
PARTIAL = "partial"  # what a job that is still running keeps beside its output
LOG_SECONDS = 10.0


def make_pack(job: Job) -> Manifest:
    """Make `pack/<mixture>`: every epoch's packs and those of the held-out records.

    Raises:
        PackError: the mixture has no usable training record, or none that fits a pack.
    """
    # The tokenizer's thread pool reads this when it starts.
    os.environ.setdefault("RAYON_NUM_THREADS", str(job.execution.get("job", {}).get("threads", 1)))
    tokenizer = load_text_tokenizer(job.input("text_tokenizer"))
    vocabulary = Vocabulary.read(job.input("vocabulary"))
    fixed = FixedParts(tokenizer, vocabulary, job.settings["mask_instructions"])
    sources = job.inputs("records")
    rejected = RejectedSamples()
    partial = job.folder / PARTIAL
    for leftover in job.folder.glob(".*.part"):  # of a job that was killed while writing
        leftover.unlink()

    epochs: dict[str, dict[str, Any]] = {}
    plans: list[tuple[Split, list[int | str]]] = [
        ("train", list(range(job.settings["epochs"]))),
        ("heldout", [HELDOUT]),
    ]
    speed = 0.0
    for split, labels in plans:
        started = time.monotonic()
        with Spool(partial / "spool") as spool:
            fill_spool(
                spool,
                sources,
                split,
                parts=job.settings["parts"],
                tokenizer=tokenizer,
                vocabulary=vocabulary,
                rejected=rejected,
            )
            if split == "train" and not len(spool):
                raise PackError(f"pack.mixtures.{job.recipe.name}: none of its training records is usable; see parts")
            overlong: set[int] = set()
            for label in labels:
                file = HELDOUT_FILE if label == HELDOUT else epoch_file(int(label))
                epochs[file] = _epoch(
                    job, partial, file, label, spool=spool, fixed=fixed, vocabulary=vocabulary, overlong=overlong
                )
            for record in sorted(overlong):
                rejected.add(
                    spool.ids[record],
                    f"{job.settings['parts'][spool.parts[record]]['source']}/{split}",
                    "longer_than_pack",
                    f"longer than pack.length {job.settings['length']}",
                )
        if split == "train":
            _require_packs(job, epochs, len(overlong))
            speed = sum(epochs[file]["documents"] for file in epochs) / (time.monotonic() - started)
    files: dict[str, int | None] = {file: facts["packs"] for file, facts in epochs.items()}
    files |= rejected.write(job.folder)
    shutil.rmtree(partial)
    return job.finish(
        files, rejected=rejected.counts, facts={"files": epochs}, metrics={"documents_per_second": round(speed)}
    )


def _require_packs(job: Job, epochs: dict[str, dict[str, Any]], overlong: int) -> None:
    if not any(facts["packs"] for facts in epochs.values()):
        name, length = job.recipe.name, job.settings["length"]
        raise PackError(
            f"pack.mixtures.{name}: no training pack, {overlong} documents are longer than pack.length {length}; raise "
            f"pack.length, or the weights under pack.mixtures.{name}.parts"
        )


def fill_spool(
    spool: Spool,
    sources: list[Path],
    split: Split,
    *,
    parts: list[dict[str, Any]],
    tokenizer: "PreTrainedTokenizerFast",
    vocabulary: Vocabulary,
    rejected: RejectedSamples,
) -> None:
    """Tokenize one split of all parts of a mixture; unusable records are set aside.

    Args:
        sources: folder of each part's records.
        parts: the mixture's parts: `source, weight, kinds`.
    """
    total = sum(count_rows(folder, split) for folder in sources)
    started = logged = time.monotonic()
    done = 0
    for number, (folder, part) in enumerate(zip(sources, parts, strict=True)):
        for batch in _batches(folder, split):
            for record in tokenize_batch(_of_kinds(batch, part["kinds"]), tokenizer, vocabulary):
                if isinstance(record, UnusableRecord):
                    rejected.add(record.sample_id, f"{part['source']}/{split}", record.reason, record.detail)
                else:
                    spool.append(record, number, part["source"])
            done += batch.num_rows
            now = time.monotonic()
            if now - logged >= LOG_SECONDS:
                rate = done / (now - started)
                _log.info("%s: %d of %d records, %.0f/s, %.0f s left", split, done, total, rate, (total - done) / rate)
                logged = now
    spool.seal()
    _log.info("%s: %d records in %.1f s", split, done, time.monotonic() - started)


def _batches(folder: Path, split: Split) -> Iterator[pa.RecordBatch]:
    names = pq.read_schema(shard_paths(folder, split)[0]).names
    return iterate_batches(folder, split, [*COLUMNS, *(["image_codes"] if "image_codes" in names else [])])


def _of_kinds(batch: pa.RecordBatch, kinds: list[str]) -> pa.RecordBatch:
    return batch.filter(pc.is_in(batch.column("kind"), pa.array(kinds))) if kinds else batch


def _epoch(
    job: Job,
    partial: Path,
    file: str,
    epoch: int | str,
    *,
    spool: Spool,
    fixed: FixedParts,
    vocabulary: Vocabulary,
    overlong: set[int],
) -> dict[str, Any]:
    """Plan and write one epoch unless it is there already; returns its facts, adds to the overlong records."""
    capacity, seed = job.settings["length"], job.settings["seed"]
    documents = choose_documents(spool, job.settings, epoch)
    text_lengths, code_lengths = np.diff(spool.text_starts), np.diff(spool.code_starts)
    lengths = fixed.lengths(
        documents.forms, documents.instructions, text_lengths[documents.records], code_lengths[documents.records]
    )
    fits = lengths <= capacity
    overlong.update(documents.records[~fits].tolist())
    documents, lengths = documents.only(fits), lengths[fits]
    done = partial / f"{file}.json"
    if done.is_file() and (job.folder / file).is_file():
        facts: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
        return facts
    started = time.monotonic()
    plan = best_fit(lengths, capacity)
    written = write_packs(
        job.folder / file,
        documents,
        lengths,
        plan,
        capacity=capacity,
        spool=spool,
        fixed=fixed,
        vocabulary=vocabulary,
        label=f"{seed}/{epoch}",
    )
    counts = np.bincount(documents.forms, minlength=len(Format)).tolist()
    facts = asdict(written) | {
        "fill": round(written.tokens / max(1, written.packs * capacity), 6),
        "formats": {form.name.lower(): counts[form] for form in Format},
    }
    write_json(done, facts)
    _log.info(
        "%s: %d documents in %d packs, %.2f%% full, %.1f s",
        file,
        written.documents,
        written.packs,
        100 * facts["fill"],
        time.monotonic() - started,
    )
    return facts
