"""Tells which contents came before: by their digests, so that a corpus larger than memory can be gone through."""

import hashlib
from array import array

FEWEST_SLOTS = 1 << 10
FULLEST = 0.6  # share of the slots that are taken


class Seen:
    """Contents that came before, whatever their length in 13 to 27 bytes of memory each.

    Digests of 64 bits in a table with open addressing: of ten million contents, one is taken for another with a
    probability of three in a million.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * FEWEST_SLOTS))  # 0 is a free one
        self._taken = 0

    def before(self, content: str) -> bool:
        """Whether a content came before; from now on it did."""
        digest = hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        key = int.from_bytes(digest, "little") or 1
        place = self._place(key)
        if self._slots[place]:
            return True
        self._slots[place] = key
        self._taken += 1
        if self._taken > FULLEST * len(self._slots):
            self._grow()
        return False

    def _place(self, key: int) -> int:
        """Where a key is, or would be."""
        slots, last = self._slots, len(self._slots) - 1
        place = key & last
        while slots[place] not in (0, key):
            place = (place + 1) & last
        return place

    def _grow(self) -> None:
        keys = self._slots
        self._slots = array("Q", bytes(16 * len(keys)))
        for key in keys:
            if key:
                self._slots[self._place(key)] = key
