"""The order of packs: random, and mixed everywhere."""

import numpy as np

from unix_lib.pack.writer import pack_order

SHARES = np.concatenate([np.zeros(300), np.full(300, 0.5), np.full(400, 0.95)])  # text, mixed, image packs


def test_it_is_a_permutation_that_depends_on_the_label() -> None:
    for count in (0, 1, 2, 1000):
        assert sorted(pack_order(SHARES[:count], "218/0").tolist()) == list(range(count))
    one, other = pack_order(SHARES, "218/0"), pack_order(SHARES, "218/1")
    assert (one == other).mean() < 0.05
    assert (pack_order(SHARES, "218/0") == one).all()


def test_neighbours_are_as_mixed_as_the_whole() -> None:
    """Means of a few packs in a row scatter far less than in a plain shuffle."""
    shuffled = SHARES[np.random.default_rng(0).permutation(len(SHARES))]
    ordered = SHARES[pack_order(SHARES, "218/0")]
    for together, bound in ((2, 0.75), (4, 0.65), (8, 0.4)):
        spread = [np.std(shares.reshape(-1, together).mean(axis=1)) for shares in (ordered, shuffled)]
        assert spread[0] < spread[1] * bound
    assert ordered.reshape(-1, 4).max(axis=1).min() > 0  # no four packs without an image


def test_equal_packs_are_shuffled() -> None:
    """Text-only packs: where a pack stands says nothing about where it was planned."""
    order = pack_order(np.zeros(2000), "218/0")
    assert abs(np.corrcoef(order, np.arange(2000))[0, 1]) < 0.1
    assert (np.abs(np.diff(order)) == 1).mean() < 0.01
