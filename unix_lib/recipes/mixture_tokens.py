"""How many tokens of which source an epoch of a mixture has: counted where it is packed, else estimated.

An estimate looks at the first records of a source where they are made already, else it takes usual lengths.
"""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import MANIFEST, Facts, read_manifest
from unix_lib.config.mixture_weights import epoch_weights
from unix_lib.config.pack import MixturePart, PackSettings
from unix_lib.recipes.known_jobs import PlannedJobs
from unix_lib.recipes.plan import Plan
from unix_lib.recipes.work import QUESTION_TOKENS, things_of
from unix_lib.records.schema import Row
from unix_lib.records.shards import RecordsError, count_rows, iterate_batches

# ASSUME: of English prose in a vocabulary of 150,000 tokens.
BYTES_PER_TOKEN = 4.0
DOCUMENT_TOKENS = 300  # ASSUME: of a record without an image
MARKERS = 8  # ASSUME: of a document, fixed phrases included


@dataclass(frozen=True)
class PartTokens:
    """What an epoch has of one source, the mean over the epochs where they are packed."""

    source: str
    weight: float  # uses of each record
    documents: float
    text_tokens: float
    image_tokens: float
    trained_tokens: float | None  # not estimated
    measured: bool


@dataclass(frozen=True)
class _Usual:
    """A source's records when each is used once."""

    records: float
    text_tokens: float  # of all of them
    images: float  # that they show

    def tokens(self, image_length: int) -> float:
        return self.text_tokens + self.images * image_length


def mixture_tokens(plan: Plan, results: Path, mixture: str) -> list[PartTokens]:
    """Tokens of each part of a mixture.

    Raises:
        ConfigError: a part that is to give tokens has none.
    """
    artefact = plan.pack(mixture)
    settings = plan.jobs[artefact].settings
    assert isinstance(settings, PackSettings)
    if (results / artefact / MANIFEST).is_file() and (measured := _measured(settings, results / artefact)):
        return measured
    usual = [_usual(plan, results, part) for part in settings.parts]
    length = image_length(plan)
    weights = epoch_weights(mixture, settings.parts, [own.tokens(length) for own in usual])
    return [
        PartTokens(
            part.source,
            weight,
            documents=weight * own.records,
            text_tokens=weight * own.text_tokens,
            image_tokens=weight * own.images * length,
            trained_tokens=None,
            measured=False,
        )
        for part, own, weight in zip(settings.parts, usual, weights, strict=True)
    ]


def image_length(plan: Plan) -> int:
    """Tokens of an image that take the vision path; 0 without an image tokenizer."""
    tokenizers = plan.experiment.tokenizers
    if tokenizers.image is None:
        return 0
    codes, every = tokenizers.image.shape.codes_per_image, tokenizers.image_separator_every
    return codes + (0 if every is None else codes // every) + 1


def _measured(settings: PackSettings, folder: Path) -> list[PartTokens]:
    """Of packs that are made; nothing where their manifest is damaged."""
    facts: Facts = {}
    with suppress(UserError):
        facts = read_manifest(folder).facts
    if "files" not in facts:
        return []
    epochs = [facts["files"][f"epoch-{epoch:03d}.arrow"]["parts"] for epoch in range(settings.epochs)]
    parts = []
    for part in settings.parts:
        counts: Counter[str] = sum((Counter(epoch[part.source]) for epoch in epochs), Counter())
        means = {name: counts[name] / len(epochs) for name in epochs[0][part.source]}
        parts.append(PartTokens(part.source, facts["weights"][part.source], measured=True, **means))
    return parts


def _usual(plan: Plan, results: Path, part: MixturePart) -> _Usual:
    """A part's records, as far as can be known now."""
    records = [results / artefact for artefact in plan.records(part.source)]
    try:
        return _of_records(records, part)
    except (RecordsError, OSError, pa.ArrowInvalid):  # not made yet, or damaged
        jobs = PlannedJobs(plan)
        if images := plan.images(part.source):
            count = sum(things_of(name, jobs) for name in images)
            return _Usual(count, count * QUESTION_TOKENS, count)
        count = sum(things_of(name, jobs) for name in plan.records(part.source))
        return _Usual(count, count * DOCUMENT_TOKENS, 0)


def _of_records(folders: list[Path], part: MixturePart) -> _Usual:
    """Of records that are made: their number, and what the first of each artefact hold."""
    total = sum(count_rows(folder, "train") for folder in folders)
    first = [
        next(iterate_batches(folder, "train", ["kind", "text", "messages", "image_ids"]), None) for folder in folders
    ]
    seen = [row for batch in first if batch is not None for row in batch.to_pylist()]
    taken = [row for row in seen if not part.kinds or row["kind"] in part.kinds]
    of_all = total / max(1, len(seen))
    return _Usual(
        records=of_all * len(taken),
        text_tokens=of_all * sum(map(_text_tokens, taken)),
        images=of_all * sum(len(row["image_ids"] or []) for row in taken),
    )


def _text_tokens(row: Row) -> float:
    texts = [row["text"], *(message["content"] for message in row["messages"] or [])]
    return MARKERS + sum(len((text or "").encode()) for text in texts) / BYTES_PER_TOKEN
