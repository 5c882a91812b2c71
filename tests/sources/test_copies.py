"""A content came before, or it did not."""

import random

from unix_lib.sources.copies import FEWEST_SLOTS, Seen


def test_contents_are_known_once_they_came() -> None:
    drawn = random.Random(5)
    contents = [f"text {drawn.randrange(8 * FEWEST_SLOTS)}" for _ in range(12 * FEWEST_SLOTS)] + ["", "\ud800"]
    seen, known = Seen(), set[str]()
    for content in contents:
        assert seen.before(content) == (content in known)
        known.add(content)
    assert len(known) > 4 * FEWEST_SLOTS
