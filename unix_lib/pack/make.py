"""Packs a mixture's records, joined with the codes of their images, for every epoch planned ahead.

The packs are in `epoch-000.arrow` ..., and `heldout.arrow`. Records are tokenized once; each epoch draws its documents,
plans on their lengths and writes. A job that was killed keeps the epochs it finished, each proven by a sealed folder in
its work folder.
"""

import json
import logging
import os
import time
from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unix_lib.artefacts.files import write_json
from unix_lib.artefacts.manifest import Facts, Manifest
from unix_lib.artefacts.sealed import is_whole, sealed_folder
from unix_lib.config.jobs import Execution
from unix_lib.config.pack import PackSettings
from unix_lib.jobs.job import Job
from unix_lib.pack.epochs import HELDOUT, choose_documents
from unix_lib.pack.planner import PackError, best_fit
from unix_lib.pack.reader import HELDOUT_FILE, epoch_file
from unix_lib.pack.sequences import FixedParts, Format
from unix_lib.pack.spool import Spool
from unix_lib.pack.tokenized import COLUMNS, UnusableRecord, tokenize_batch
from unix_lib.pack.writer import write_packs
from unix_lib.records.rejected import RejectedSamples
from unix_lib.records.shards import Split, count_rows, iterate_batches
from unix_lib.tokenizers.text import load_text_tokenizer
from unix_lib.tokenizers.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_log = logging.getLogger(__name__)
FACTS_FILE = "facts.json"
LOG_SECONDS = 10.0


def make_pack(job: Job[PackSettings, Execution]) -> Manifest:
    """Make `pack/<mixture>`: every epoch's packs and those of the held-out records.

    Raises:
        PackError: the mixture has no usable training record, or none that fits a pack.
    """
    # The tokenizer's thread pool reads this when it starts.
    os.environ.setdefault("RAYON_NUM_THREADS", str(job.shape.threads))
    tokenizer = load_text_tokenizer(job.input("text_tokenizer"))
    vocabulary = Vocabulary.read(job.input("vocabulary"))
    fixed = FixedParts(tokenizer, vocabulary, job.settings.mask_instructions)
    rejected = RejectedSamples()
    for leftover in job.folder.glob(".*.part"):  # of a job that was killed while writing
        leftover.unlink()

    epochs: dict[str, Facts] = {}
    plans: list[tuple[Split, list[int | str]]] = [
        ("train", list(range(job.settings.epochs))),
        ("heldout", [HELDOUT]),
    ]
    speed = 0.0
    for split, labels in plans:
        started = time.monotonic()
        with Spool(job.work / "spool", vocabulary) as spool:
            _fill(spool, job, split, tokenizer, rejected)
            if split == "train" and not len(spool):
                raise PackError(f"pack.mixtures.{job.recipe.name}: none of its training records is usable; see parts")
            overlong: set[int] = set()
            for label in labels:
                file = HELDOUT_FILE if label == HELDOUT else epoch_file(int(label))
                epochs[file] = _epoch(job, file, label, spool, fixed, overlong)
            for record in sorted(overlong):
                rejected.add(
                    spool.ids[record],
                    f"{job.settings.parts[spool.parts[record]].source}/{split}",
                    "longer_than_pack",
                    f"longer than pack.length {job.settings.pack_length}",
                )
        if split == "train":
            _require_packs(job, epochs, len(overlong))
            speed = sum(epochs[file]["documents"] for file in epochs) / (time.monotonic() - started)
    files: dict[str, int | None] = {file: facts["packs"] for file, facts in epochs.items()}
    files |= rejected.write(job.folder)
    manifest = job.finish(
        files, rejected=rejected.counts, facts={"files": epochs}, metrics={"documents_per_second": round(speed)}
    )
    job.clear_work()
    return manifest


def _require_packs(job: Job[PackSettings, Execution], epochs: dict[str, Facts], overlong: int) -> None:
    if not any(facts["packs"] for facts in epochs.values()):
        name, pack_length = job.recipe.name, job.settings.pack_length
        raise PackError(
            f"pack.mixtures.{name}: no training pack, {overlong} documents are longer than pack.length {pack_length}; "
            f"raise pack.length, or the weights under pack.mixtures.{name}.parts"
        )


def _fill(
    spool: Spool,
    job: Job[PackSettings, Execution],
    split: Split,
    tokenizer: "PreTrainedTokenizerFast",
    rejected: RejectedSamples,
) -> None:
    """Tokenize one split of all parts of the mixture; unusable records are set aside."""
    parts, records, codes = job.settings.parts, job.roles("records"), job.roles("codes")
    total = sum(count_rows(folder, split) for part in parts for folder in records[part.source])
    started = logged = time.monotonic()
    done = 0
    for number, part in enumerate(parts):
        images = spool.add_codes(codes.get(part.source, []), split)
        for batch in chain.from_iterable(iterate_batches(folder, split, COLUMNS) for folder in records[part.source]):
            chosen = batch.filter(pc.is_in(batch["kind"], pa.array(part.kinds))) if part.kinds else batch
            for record in tokenize_batch(chosen, images, tokenizer, spool.vocabulary.eos_id):
                if isinstance(record, UnusableRecord):
                    rejected.add(record.sample_id, f"{part.source}/{split}", record.reason, record.detail)
                else:
                    spool.append(record, number, part.source)
            done += batch.num_rows
            now = time.monotonic()
            if now - logged >= LOG_SECONDS:
                rate = done / (now - started)
                _log.info("%s: %d of %d records, %.0f/s, %.0f s left", split, done, total, rate, (total - done) / rate)
                logged = now
    spool.seal()
    _log.info("%s: %d records in %.1f s", split, done, time.monotonic() - started)


def _epoch(  # noqa: PLR0917
    job: Job[PackSettings, Execution], file: str, epoch: int | str, spool: Spool, fixed: FixedParts, overlong: set[int]
) -> Facts:
    """Plan and write one epoch unless it is there already; returns its facts, adds to the overlong records."""
    pack_length = job.settings.pack_length
    documents = choose_documents(spool, job.settings, epoch)
    lengths = fixed.lengths(
        documents.forms,
        documents.instructions,
        spool.text_lengths[documents.records],
        spool.image_counts[documents.records],
    )
    fits = lengths <= pack_length
    overlong.update(documents.records[~fits].tolist())
    documents, lengths = documents.only(fits), lengths[fits]
    kept = job.work / file
    if is_whole(kept):
        facts: Facts = json.loads((kept / FACTS_FILE).read_text(encoding="utf-8"))
        return facts
    started = time.monotonic()
    plan = best_fit(lengths, pack_length)
    with sealed_folder(kept, also=[job.folder / file]) as folder:
        written = write_packs(
            job.folder / file,
            documents,
            lengths,
            plan,
            pack_length=pack_length,
            spool=spool,
            fixed=fixed,
            label=f"{job.settings.seed}/{epoch}",
        )
        counts = np.bincount(documents.forms, minlength=len(Format)).tolist()
        facts = asdict(written) | {
            "fill": round(written.tokens / max(1, written.packs * pack_length), 6),
            "formats": {form.name.lower(): counts[form] for form in Format},
        }
        write_json(folder / FACTS_FILE, facts)
    _log.info(
        "%s: %d documents in %d packs, %.2f%% full, %.1f s",
        file,
        written.documents,
        written.packs,
        100 * facts["fill"],
        time.monotonic() - started,
    )
    return facts
