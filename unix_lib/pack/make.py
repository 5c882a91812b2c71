"""Packs a mixture's records, joined with the codes of their images, for every epoch planned ahead.

The packs are in `epoch-000.arrow` ..., and `heldout.arrow`. Records are tokenized once; each epoch draws its documents,
plans on their lengths and writes. Parts of the mixture that are to give so many tokens, or a share of them, get weights
by what their records were tokenized to. A job that was killed keeps the epochs it finished, each proven by a sealed
folder in its work folder.
"""

import json
import logging
import os
import time
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unix_lib.artefacts.files import write_json
from unix_lib.artefacts.manifest import Facts, Manifest
from unix_lib.artefacts.sealed import is_whole, sealed_folder
from unix_lib.config.jobs import Execution
from unix_lib.config.mixture_weights import epoch_weights
from unix_lib.config.pack import PackSettings
from unix_lib.jobs.job import Job
from unix_lib.pack.epochs import HELDOUT, Documents, choose_documents
from unix_lib.pack.planner import PackError, best_fit, one_each
from unix_lib.pack.reader import HELDOUT_FILE, epoch_file
from unix_lib.pack.sequences import FixedParts, Format
from unix_lib.pack.spool import Spool
from unix_lib.pack.tokenized import COLUMNS, UnusableRecord, tokenize_batch
from unix_lib.pack.writer import COUNTS, WrittenTokens, write_packs
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
    settings = job.settings
    fixed = FixedParts(
        tokenizer,
        vocabulary,
        settings.mask_instructions,
        template=settings.template,
        languages=settings.instruction_languages,
        image_size=settings.image_size,
    )
    rejected = RejectedSamples()
    for leftover in job.folder.glob(".*.part"):  # of a job that was killed while writing
        leftover.unlink()

    epochs: dict[str, Facts] = {}
    plans: list[tuple[Split, list[int | str]]] = [
        ("train", list(range(settings.epochs))),
        ("heldout", [HELDOUT]),
    ]
    speed, weights = 0.0, [1.0] * len(settings.parts)
    for split, labels in plans:
        started = time.monotonic()
        with Spool(job.work / "spool", vocabulary) as spool:
            _fill(spool, job, split, tokenizer, rejected)
            if split == "train":
                weights = _weights(job, spool, fixed)
            mixed = _Mixed(job, spool, fixed, np.array(weights))
            overlong: set[int] = set()
            for label in labels:
                file = HELDOUT_FILE if label == HELDOUT else epoch_file(int(label))
                epochs[file] = _epoch(mixed, file, label, overlong)
            for record in sorted(overlong):
                rejected.add(
                    spool.ids[record],
                    f"{settings.parts[spool.parts[record]].source}/{split}",
                    "longer_than_pack",
                    f"longer than pack.length {settings.pack_length}",
                )
        if split == "train":
            _require_packs(job, epochs, len(overlong))
            speed = sum(epochs[file]["documents"] for file in epochs) / (time.monotonic() - started)
    files: dict[str, int | None] = {file: facts["packs"] for file, facts in epochs.items()}
    files |= rejected.write(job.folder)
    used = {part.source: round(weight, 6) for part, weight in zip(settings.parts, weights, strict=True)}
    manifest = job.finish(
        files,
        rejected=rejected.counts,
        facts={"files": epochs, "weights": used},
        metrics={"documents_per_second": round(speed)},
    )
    job.clear_work()
    return manifest


def _weights(job: Job[PackSettings, Execution], spool: Spool, fixed: FixedParts) -> list[float]:
    """Uses of each part's records per epoch.

    Raises:
        PackError: none of the mixture's records is usable.
        ConfigError: a part that is to give tokens has none.
    """
    parts, where = job.settings.parts, f"pack.mixtures.{job.recipe.name}"
    if not len(spool):
        raise PackError(f"{where}: none of its training records is usable; see parts")
    tokens: np.ndarray = np.zeros(len(parts))
    if not all(part.weighted for part in parts):
        once = choose_documents(spool, job.settings, 0, np.ones(len(parts)))
        lengths = once.lengths(spool, fixed)
        fits = lengths <= job.settings.pack_length
        tokens = np.bincount(spool.parts[once.records[fits]], lengths[fits], minlength=len(parts))
    weights = epoch_weights(job.recipe.name, parts, tokens.tolist())
    for part, weight, records in zip(parts, weights, np.bincount(spool.parts, minlength=len(parts)), strict=True):
        if not records:
            _log.warning("%s: no training record of source %s is usable", where, part.source)
        elif weight > 1:
            _log.warning("%s: each record of source %s is used %.4g times an epoch", where, part.source, weight)
    if not (spool.forms == Format.TEXT_TO_IMAGE).any():
        _log.warning("%s: no training record has an image with a caption: nothing is text-to-image", where)
    return weights


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
            for record in tokenize_batch(chosen, images, tokenizer, spool.vocabulary.eos_id, job.settings.template):
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


@dataclass(frozen=True)
class _Mixed:
    """What epochs are packed from."""

    job: Job[PackSettings, Execution]
    spool: Spool
    fixed: FixedParts
    weights: np.ndarray  # float64, of each part


def _epoch(mixed: _Mixed, file: str, epoch: int | str, overlong: set[int]) -> Facts:
    """Plan and write one epoch unless it is there already; returns its facts, adds to the overlong records."""
    job, settings = mixed.job, mixed.job.settings
    documents = choose_documents(mixed.spool, settings, epoch, mixed.weights)
    lengths = documents.lengths(mixed.spool, mixed.fixed)
    fits = lengths <= settings.pack_length
    overlong.update(documents.records[~fits].tolist())
    documents, lengths = documents.only(fits), lengths[fits]
    kept = job.work / file
    if is_whole(kept):
        facts: Facts = json.loads((kept / FACTS_FILE).read_text(encoding="utf-8"))
        return facts
    started = time.monotonic()
    plan = one_each if settings.packing == "none" else best_fit
    with sealed_folder(kept, also=[job.folder / file]) as folder:
        written = write_packs(
            job.folder / file,
            documents,
            lengths,
            plan(lengths, settings.pack_length),
            pack_length=settings.pack_length,
            spool=mixed.spool,
            fixed=mixed.fixed,
            parts=len(settings.parts),
            label=f"{settings.seed}/{epoch}",
        )
        facts = _facts(written, documents, settings)
        write_json(folder / FACTS_FILE, facts)
    _log.info(
        "%s: %d documents in %d packs, %.2f%% full, %.1f s",
        file,
        facts["documents"],
        written.packs,
        100 * facts["fill"],
        time.monotonic() - started,
    )
    return facts


def _facts(written: WrittenTokens, documents: Documents, settings: PackSettings) -> Facts:
    """What an epoch holds: of all sources, of each, and of each format."""
    forms = np.bincount(documents.forms, minlength=len(Format)).tolist()
    return {
        "packs": written.packs,
        "tokens": written.tokens,
        **dict(zip(COUNTS, written.by_part.sum(axis=0).tolist(), strict=True)),
        "fill": round(written.tokens / max(1, written.packs * settings.pack_length), 6),
        "formats": {form.name.lower(): forms[form] for form in Format},
        "parts": {
            part.source: dict(zip(COUNTS, counts, strict=True))
            for part, counts in zip(settings.parts, written.by_part.tolist(), strict=True)
        },
    }
