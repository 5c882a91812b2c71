"""Chooses an epoch's documents: how often each record comes, in which format, with which phrase.

Their order only depends on the seed and on the samples, so that neither the order of the records nor anything else
about how they were read shows in the packs.
"""

from dataclasses import dataclass

import numpy as np

from unix_lib.config.pack import PackSettings
from unix_lib.pack.draws import draw_bits, draw_uniform
from unix_lib.pack.formats import FORMATS, Format, phrase_counts
from unix_lib.pack.records import Records
from unix_lib.pack.sequences import FixedParts
from unix_lib.tokenizers.vocabulary import Vocabulary

HELDOUT = "heldout"
SHOWN = {"codes", "images"}  # parts of a document that are images


@dataclass(frozen=True)
class Documents:
    """An epoch's documents, arrays of one length."""

    records: np.ndarray  # int64, position among the records
    forms: np.ndarray  # uint8, `Format`
    phrases: np.ndarray  # uint8, which phrase of its format's
    newlines: np.ndarray  # uint64, what decides how many newlines stand before each turn

    def only(self, chosen: np.ndarray) -> "Documents":
        return Documents(self.records[chosen], self.forms[chosen], self.phrases[chosen], self.newlines[chosen])

    def counts(self, records: Records, fixed: FixedParts) -> tuple[np.ndarray, np.ndarray]:
        """Tokens of each document, and how many of them are trained, int64."""
        return fixed.counts(self.forms, self.phrases, self.newlines, records.only(self.records))

    def vision_tokens(self, records: Records, vocabulary: Vocabulary) -> np.ndarray:
        """Image codes, their separators and <|vision_start|> of each document, int64."""
        with_images = np.isin(self.forms, [form for form, parts in FORMATS.items() if SHOWN & dict(parts).keys()])
        vision: np.ndarray = with_images * records.image_counts[self.records] * (vocabulary.image_length + 1)
        return vision


def record_uses(samples: np.ndarray, weights: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """How often each record is used in an epoch.

    A record starts at its own random point of the unit interval and is used once for every whole number that it
    passes when it moves on by its weight each epoch: weight 2 gives two uses, weight 0.5 a random half of the records
    in one epoch and the other half in the next, so that two epochs see each record once.

    Args:
        samples: uint64 (N,), hashes of sample ids.
        weights: float64 (N,), uses per epoch.

    Returns:
        int64 (N,).
    """
    start = draw_uniform(samples, f"{seed}/weight")
    return np.asarray(np.floor(start + (epoch + 1) * weights) - np.floor(start + epoch * weights), dtype=np.int64)


def choose_documents(records: Records, settings: PackSettings, epoch: int | str, weights: np.ndarray) -> Documents:
    """Draw an epoch's documents; `HELDOUT` uses each record once.

    Args:
        weights: float64, of each part of the mixture: uses of a record per epoch.
    """
    seed = settings.seed
    if isinstance(epoch, int):
        uses = record_uses(records.samples, weights[records.parts], seed, epoch)
    else:
        uses = np.ones(len(records), dtype=np.int64)
    ratios = np.array([settings.ratio_of(part) for part in settings.parts])
    from_image = Format.IMAGE_QUESTION if settings.packing == "sft" else Format.IMAGE_TO_TEXT
    counts = phrase_counts(settings.instruction_languages)
    drawn = []
    order = []
    for repeat in range(int(uses.max(initial=0))):
        rows = np.flatnonzero(uses > repeat)
        samples = records.samples[rows]
        label = f"{seed}/{epoch}/{repeat}"
        forms = records.forms[rows]
        pairs = forms == Format.TEXT_TO_IMAGE
        backward = draw_uniform(samples, f"{label}/direction") >= ratios[records.parts[rows]]
        dropped = draw_uniform(samples, f"{label}/unconditional") < settings.unconditional_probability
        forms[pairs & dropped] = Format.UNCONDITIONAL
        forms[pairs & backward] = from_image
        phrases = (draw_uniform(samples, f"{label}/instruction") * counts[forms]).astype(np.uint8)
        drawn.append((rows, forms, phrases, draw_bits(samples, f"{label}/newlines")))
        order.append(draw_bits(samples, f"{label}/order"))
    if not drawn:
        return Documents(np.zeros(0, np.int64), np.zeros(0, np.uint8), np.zeros(0, np.uint8), np.zeros(0, np.uint64))
    return Documents(*map(np.concatenate, zip(*drawn, strict=True))).only(
        np.argsort(np.concatenate(order), kind="stable")
    )
