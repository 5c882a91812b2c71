"""Packs a mixture's records, joined with the codes of their images, for every epoch planned ahead.

Their tokens are stored once (`unix_lib.pack.store`), for the training records and for those held out.
`epoch-000.arrow` ... and `heldout.arrow` are plans: which records stand in which pack, in which format. Parts of the
mixture that are to give so many tokens, or a share of them, get weights by what their records were tokenized to.
"""

import logging
import time
from dataclasses import dataclass

import numpy as np

from unix_lib.artefacts.manifest import Facts, Manifest
from unix_lib.config.jobs import Execution
from unix_lib.config.mixture_weights import epoch_weights
from unix_lib.config.pack import PackSettings
from unix_lib.jobs.job import Job
from unix_lib.pack.epochs import HELDOUT, Documents, choose_documents
from unix_lib.pack.formats import Format
from unix_lib.pack.planner import PackError, best_fit, one_each
from unix_lib.pack.reader import HELDOUT_FILE, epoch_file
from unix_lib.pack.records import Records
from unix_lib.pack.sequences import FIXED_PARTS_FILE, FixedParts
from unix_lib.pack.splits import MixedSplit, mix_split
from unix_lib.pack.writer import pack_order, write_plan
from unix_lib.records.rejected import RejectedSamples
from unix_lib.records.shards import Split
from unix_lib.tokenizers.text import load_text_tokenizer
from unix_lib.tokenizers.vocabulary import Vocabulary

TOO_LONG = "longer_than_pack"  # reason of those set aside
_log = logging.getLogger(__name__)
COUNTS = ("documents", "text_tokens", "image_tokens", "trained_tokens")  # image tokens are those of the vision path


def make_pack(job: Job[PackSettings, Execution]) -> Manifest:
    """Make `pack/<mixture>`: tokens and plans of every epoch, and of the held-out records.

    Raises:
        PackError: the mixture has no usable training record, or none that fits a pack.
        ConfigError: a part that is to give tokens has none.
    """
    settings = job.settings
    tokenizer = load_text_tokenizer(job.input("text_tokenizer"))
    vocabulary = Vocabulary.read(job.input("vocabulary"))
    fixed = FixedParts.of(
        tokenizer,
        vocabulary,
        settings.mask_instructions,
        template=settings.template,
        languages=settings.instruction_languages,
        image_size=settings.image_size,
    )
    for leftover in job.folder.glob(".*.part"):  # of a job that was killed while writing
        leftover.unlink()
    fixed.write(job.folder)

    rejected = RejectedSamples()
    epochs: dict[str, Facts] = {}
    records: dict[str, dict[str, int]] = {}
    stored: list[str] = []
    weights, speed = [1.0] * len(settings.parts), 0.0
    labels: dict[Split, list[int | str]] = {"train": list(range(settings.epochs)), "heldout": [HELDOUT]}
    for split, of_split in labels.items():
        started = time.monotonic()
        brought = mix_split(job, split, vocabulary)
        for folder in brought.folders:
            rejected.extend_from(folder)
        stored += brought.files
        counts = np.bincount(brought.records.parts, minlength=len(settings.parts)).tolist()
        records[split] = {part.source: count for part, count in zip(settings.parts, counts, strict=True)}
        if split == "train":
            weights = _weights(job, brought.records, fixed)
        mixed = _Mixed(job, brought.records, fixed, np.array(weights))
        overlong: set[int] = set()
        for label in of_split:
            epochs[HELDOUT_FILE if label == HELDOUT else epoch_file(int(label))] = _epoch(mixed, label, overlong)
        _set_aside(brought, overlong, rejected, job, split)
        if split == "train":
            _require_packs(job, epochs, len(overlong))
            speed = sum(facts["documents"] for facts in epochs.values()) / (time.monotonic() - started)
    files: dict[str, int | None] = {file: facts["packs"] for file, facts in epochs.items()}
    files |= dict.fromkeys([FIXED_PARTS_FILE, *stored])
    files |= rejected.write(job.folder)
    used = {part.source: round(weight, 6) for part, weight in zip(settings.parts, weights, strict=True)}
    manifest = job.finish(
        files,
        rejected=rejected.counts,
        facts={"files": epochs, "weights": used, "records": records},
        metrics={"documents_per_second": round(speed)},
    )
    job.clear_work()
    return manifest


def _weights(job: Job[PackSettings, Execution], records: Records, fixed: FixedParts) -> list[float]:
    """Uses of each part's records per epoch."""
    parts, where = job.settings.parts, f"pack.mixtures.{job.recipe.name}"
    if not len(records):
        raise PackError(f"{where}: none of its training records is usable; see parts")
    tokens: np.ndarray = np.zeros(len(parts))
    if not all(part.weighted for part in parts):
        once = choose_documents(records, job.settings, 0, np.ones(len(parts)))
        lengths, _ = once.counts(records, fixed)
        fits = lengths <= job.settings.pack_length
        tokens = np.bincount(records.parts[once.records[fits]], lengths[fits], minlength=len(parts))
    weights = epoch_weights(job.recipe.name, parts, tokens.tolist())
    for part, weight, count in zip(parts, weights, np.bincount(records.parts, minlength=len(parts)), strict=True):
        if not count:
            _log.warning("%s: no training record of source %s is usable", where, part.source)
        elif weight > 1:
            _log.warning("%s: each record of source %s is used %.4g times an epoch", where, part.source, weight)
    if not (records.forms == Format.TEXT_TO_IMAGE).any():
        _log.warning("%s: no training record has an image with a caption: nothing is text-to-image", where)
    return weights


def _set_aside(
    brought: MixedSplit,
    overlong: set[int],
    rejected: RejectedSamples,
    job: Job[PackSettings, Execution],
    split: Split,
) -> None:
    """Records that some epoch made longer than a pack."""
    records = sorted(overlong)
    detail = f"longer than pack.length {job.settings.pack_length}"
    for record, sample_id in zip(records, brought.ids_of(records) if records else [], strict=True):
        source = job.settings.parts[brought.records.parts[record]].source
        rejected.add(sample_id, f"{source}/{split}", TOO_LONG, detail)


def _require_packs(job: Job[PackSettings, Execution], epochs: dict[str, Facts], overlong: int) -> None:
    if not any(facts["packs"] for facts in epochs.values()):
        name, pack_length = job.recipe.name, job.settings.pack_length
        raise PackError(
            f"pack.mixtures.{name}: no training pack, {overlong} documents are longer than pack.length {pack_length}; "
            f"raise pack.length, or the weights under pack.mixtures.{name}.parts"
        )


@dataclass(frozen=True)
class _Mixed:
    """What epochs are packed from."""

    job: Job[PackSettings, Execution]
    records: Records
    fixed: FixedParts
    weights: np.ndarray  # float64, of each part


def _epoch(mixed: _Mixed, epoch: int | str, overlong: set[int]) -> Facts:
    """Plan and write one epoch; returns its facts, adds to the overlong records."""
    started = time.monotonic()
    settings, records = mixed.job.settings, mixed.records
    documents = choose_documents(records, settings, epoch, mixed.weights)
    lengths, trained = documents.counts(records, mixed.fixed)
    fits = lengths <= settings.pack_length
    overlong.update(documents.records[~fits].tolist())
    documents, lengths, trained = documents.only(fits), lengths[fits], trained[fits]
    vision = documents.vision_tokens(records, mixed.fixed.vocabulary)
    plan = (one_each if settings.packing == "none" else best_fit)(lengths, settings.pack_length)
    seen, tokens = (np.bincount(plan.pack_of, counts, minlength=plan.num_packs) for counts in (vision, lengths))
    order = pack_order(seen / tokens, f"{settings.seed}/{epoch}")
    file = HELDOUT_FILE if epoch == HELDOUT else epoch_file(int(epoch))
    newlines = settings.template == "published"
    write_plan(mixed.job.folder / file, documents, plan, order, settings.pack_length, newlines=newlines)
    by_part = np.zeros((len(settings.parts), len(COUNTS)), dtype=np.int64)
    counts = np.stack([np.ones_like(lengths), lengths - vision, vision, trained], axis=1)
    np.add.at(by_part, records.parts[documents.records], counts)
    facts = _facts(documents, plan.num_packs, by_part, settings)
    _log.info(
        "%s: %d documents in %d packs, %.2f%% full, %.1f s",
        file,
        facts["documents"],
        plan.num_packs,
        100 * facts["fill"],
        time.monotonic() - started,
    )
    return facts


def _facts(documents: Documents, packs: int, by_part: np.ndarray, settings: PackSettings) -> Facts:
    """What an epoch holds: of all sources, of each, and of each format.

    Args:
        by_part: int64 (parts, counts), `COUNTS` of each part.
    """
    forms = np.bincount(documents.forms, minlength=len(Format)).tolist()
    tokens = int(by_part[:, 1:3].sum())
    return {
        "packs": packs,
        "tokens": tokens,
        **dict(zip(COUNTS, by_part.sum(axis=0).tolist(), strict=True)),
        "fill": round(tokens / max(1, packs * settings.pack_length), 6),
        "formats": {form.name.lower(): forms[form] for form in Format},
        "parts": {
            part.source: dict(zip(COUNTS, counts, strict=True))
            for part, counts in zip(settings.parts, by_part.tolist(), strict=True)
        },
    }
