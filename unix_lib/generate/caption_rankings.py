"""Lets a checkpoint rank captions: how probable it finds an image's own caption, and those of other images.

Which captions stand against each other depends on the records and a seed alone, so it is the same for all checkpoints.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from unix_lib.artefacts.manifest import Manifest
from unix_lib.benchmarks.settings import RankingSettings
from unix_lib.benchmarks.tables import RANKINGS, RANKINGS_FILE
from unix_lib.checkpoints.loaded import Checkpoint
from unix_lib.config.generate import DecodingExecution
from unix_lib.encode.originals import codes_of
from unix_lib.generate.log_probabilities import sequence_log_probabilities
from unix_lib.generate.members import checkpoint_of, finish
from unix_lib.generate.store import SampleStore
from unix_lib.jobs.job import Job
from unix_lib.pack.draws import hash_text
from unix_lib.pack.formats import Format
from unix_lib.pack.sampled import captioned_rows
from unix_lib.pack.sequences import NO_TEXT, FixedParts
from unix_lib.records.schema import Row
from unix_lib.tokenizers.text import encode_texts

SPARE = 50  # captions looked at for each candidate: in a small or uniform source many are alike
NO_CODES, TOO_FEW = "its image was not encoded", "too few other captions"


@dataclass(frozen=True)
class Captioned:
    """An image with its caption."""

    sample_id: str
    image_id: str
    caption: str


def make_rankings(job: Job[RankingSettings, DecodingExecution], checkpoint: Checkpoint | None = None) -> Manifest:
    """Make `generate/<run>-step-00100-<benchmark>`; the facts count what is set aside, by reason."""
    settings = job.settings
    spare = None if settings.limit is None else max(settings.limit, SPARE * settings.candidates)
    shown = [
        Captioned(row["sample_id"], row["image_ids"][0], row["text"].strip())
        for row in captioned_rows(job.inputs("records"), settings.split, spare)
    ]
    found = shown[: settings.limit]
    loaded = checkpoint or checkpoint_of([job])
    codes = codes_of(job.inputs("codes"), [each.image_id for each in found])
    texts = sorted({each.caption for each in shown})
    ids = dict(zip(texts, encode_texts(loaded.tokenizer, texts), strict=True))
    parts = FixedParts.worded(loaded.tokenizer, loaded.vocabulary, loaded.wording)
    encoded = [each for each in found if each.image_id in codes]
    asked = list(candidates(encoded, shown, settings.candidates, settings.seed))
    lost = {NO_CODES: len(found) - len(encoded), TOO_FEW: len(encoded) - len(asked) // settings.candidates}

    def ranked(some: Sequence[Row]) -> list[Row]:
        prompts = [parts.prompt(Format.IMAGE_TO_TEXT, NO_TEXT, np.asarray([codes[row["image_id"]]])) for row in some]
        captions = [[*ids[row["caption"]], loaded.vocabulary.eos_id] for row in some]
        values = sequence_log_probabilities(loaded.model, prompts, captions, batch_size=loaded.batch_size)
        return [
            row | {"log_likelihood": float(value), "tokens": len(caption)}
            for row, value, caption in zip(some, values, captions, strict=True)
        ]

    store = SampleStore(job.work, RANKINGS)
    table: pa.Table = store.fill(asked, ranked, batch_size=job.execution.batch_size, name=job.recipe.name)
    set_aside = {why: count for why, count in lost.items() if count}
    return finish(job, loaded, RANKINGS_FILE, table, set_aside=set_aside)


def candidates(found: Sequence[Captioned], shown: Sequence[Captioned], count: int, seed: int) -> Iterator[Row]:
    """For each image that enough other captions are there for, `count` rows: its own caption among others, shuffled.

    The others are captions of `shown`, of which `found` are a part. None of them belongs to a record of the same image
    or has the same words.
    """
    own: dict[str, set[str]] = {}
    for each in shown:
        own.setdefault(each.image_id, set()).add(each.caption)
    captions = sorted({each.caption for each in shown})
    for each in found:
        rng = np.random.default_rng([seed, hash_text(each.sample_id)])
        order = (captions[int(place)] for place in rng.permutation(len(captions)))
        others = [caption for caption in order if caption not in own[each.image_id]][: count - 1]
        if len(others) == count - 1:
            mixed = [each.caption, *others]
            for place in rng.permutation(count).tolist():
                yield {
                    "sample_id": each.sample_id,
                    "image_id": each.image_id,
                    "caption": mixed[place],
                    "own": place == 0,
                }
