"""Tells which contents came before: by their digests, so that a corpus larger than memory can be gone through."""

import hashlib


class Seen:
    """Contents that came before, about 110 bytes of memory each, whatever their length."""

    def __init__(self) -> None:
        self._digests: set[bytes] = set()

    def before(self, content: str) -> bool:
        """Whether a content came before; from now on it did."""
        digest = hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        known = len(self._digests)
        self._digests.add(digest)
        return len(self._digests) == known
