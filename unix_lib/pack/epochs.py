"""Chooses an epoch's documents: how often each record comes, in which format, with which instruction.

Their order only depends on the seed and on the samples, so that neither the order of the records nor anything else
about how they were read shows in the packs.
"""

from dataclasses import dataclass

import numpy as np

from unix_lib.config.pack import PackSettings
from unix_lib.pack.draws import draw_bits, draw_uniform
from unix_lib.pack.sequences import FORMATS, Format
from unix_lib.pack.spool import Spool
from unix_lib.records.phrases import INSTRUCTIONS

HELDOUT = "heldout"
SHOWN = {"codes", "images"}  # parts of a document that are images


@dataclass(frozen=True)
class Documents:
    """An epoch's documents, arrays of one length."""

    records: np.ndarray  # int64, position in the spool
    forms: np.ndarray  # uint8, `Format`
    instructions: np.ndarray  # int64, which instruction (text-to-image)

    def only(self, chosen: np.ndarray) -> "Documents":
        return Documents(self.records[chosen], self.forms[chosen], self.instructions[chosen])

    def vision_tokens(self, spool: Spool) -> np.ndarray:
        """Image codes, their separators and <|vision_start|> of each document, int64."""
        with_images = np.isin(self.forms, [form for form, parts in FORMATS.items() if SHOWN & dict(parts).keys()])
        vision: np.ndarray = with_images * spool.image_counts[self.records] * (spool.vocabulary.image_length + 1)
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


def choose_documents(spool: Spool, settings: PackSettings, epoch: int | str) -> Documents:
    """Draw an epoch's documents; `HELDOUT` uses each record once."""
    seed = settings.seed
    if isinstance(epoch, int):
        weights = np.array([part.weight for part in settings.parts], dtype=np.float64)
        uses = record_uses(spool.samples, weights[spool.parts], seed, epoch)
    else:
        uses = np.ones(len(spool), dtype=np.int64)
    drawn = []
    order = []
    for repeat in range(int(uses.max(initial=0))):
        records = np.flatnonzero(uses > repeat)
        samples = spool.samples[records]
        label = f"{seed}/{epoch}/{repeat}"
        forms = spool.forms[records].copy()
        pairs = forms == Format.TEXT_TO_IMAGE
        backward = draw_uniform(samples, f"{label}/direction") >= settings.text_to_image_ratio
        dropped = draw_uniform(samples, f"{label}/unconditional") < settings.unconditional_probability
        forms[pairs & dropped] = Format.UNCONDITIONAL
        forms[pairs & backward] = Format.IMAGE_TO_TEXT
        instructions = (draw_uniform(samples, f"{label}/instruction") * len(INSTRUCTIONS)).astype(np.int64)
        drawn.append((records, forms, instructions))
        order.append(draw_bits(samples, f"{label}/order"))
    if not drawn:
        return Documents(np.zeros(0, np.int64), np.zeros(0, np.uint8), np.zeros(0, np.int64))
    records, forms, instructions = (np.concatenate(column) for column in zip(*drawn, strict=True))
    return Documents(records, forms, instructions).only(np.argsort(np.concatenate(order), kind="stable"))
