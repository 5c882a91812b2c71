"""Chooses the held-out split of samples that have no combinations to hold out, by content and a seed."""

import hashlib
from collections.abc import Iterable

from unix_lib.sources.errors import SourceError


def choose_held_out_keys(keys: Iterable[str], share: float, seed: int, source: str) -> set[str]:
    """The keys held out: the `share` with the smallest seeded hashes, at least one and never all.

    A key that stands for content keeps copies of a sample on the same side. Adding samples moves few others.

    Args:
        keys: one per sample; equal keys share their fate.
        share: of the distinct keys, 0..1.
        seed: seed of the hashes.
        source: the source's name, for the error.

    Raises:
        SourceError: fewer than two distinct keys.
    """
    distinct = set(keys)
    if len(distinct) < 2:
        raise SourceError(
            f"sources.{source}: {len(distinct)} usable samples, too few for a training and a held-out split; add some"
        )
    count = min(max(1, round(share * len(distinct))), len(distinct) - 1)
    ranked = sorted(distinct, key=lambda key: (hashlib.sha256(f"{seed}/{key}".encode()).digest(), key))
    return set(ranked[:count])
