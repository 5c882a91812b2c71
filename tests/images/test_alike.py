"""Looking hashes up by bands finds what comparing each with each finds."""

import numpy as np
import pytest

from unix_lib.images.alike import MOST_BITS_APART, any_alike, first_alike


def hashes_with_relatives(count: int, seed: int) -> np.ndarray:
    """Random hashes, and copies of some of them that differ in up to ten bits, mixed."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**64, count, np.uint64)
    flips = np.zeros(count, np.uint64)
    for _ in range(10):
        flips ^= np.uint64(1) << rng.integers(0, 64, count, np.uint64) * (rng.random(count) < 0.5)
    return rng.permutation(np.concatenate([hashes, hashes ^ flips, hashes[: count // 4]]))


def first_alike_one_by_one(hashes: np.ndarray, distance: int) -> list[int]:
    stay: list[int] = []
    found = []
    for place, one in enumerate(hashes):
        like = [each for each in stay if int(hashes[each] ^ one).bit_count() <= distance]
        found.append(like[0] if like else -1)
        if not like:
            stay.append(place)
    return found


@pytest.mark.parametrize("distance", range(MOST_BITS_APART + 1))
def test_the_first_of_what_is_alike_stays(distance: int) -> None:
    hashes = hashes_with_relatives(300, distance)
    expected = first_alike_one_by_one(hashes, distance)
    assert first_alike(hashes, distance).tolist() == expected
    assert 75 <= sum(place >= 0 for place in expected) < len(hashes) - 250
    others, apart = hashes[::7], hashes[:, None] ^ hashes[None, ::7]
    near = np.bitwise_count(apart) <= distance
    assert any_alike(hashes, others, distance).tolist() == np.where(near.any(1), near.argmax(1), -1).tolist()


def test_none_is_like_none() -> None:
    empty = np.empty(0, np.uint64)
    assert first_alike(empty, 3).tolist() == [] == any_alike(empty, empty, 3).tolist()
    assert any_alike(np.array([5], np.uint64), empty, 3).tolist() == [-1]
