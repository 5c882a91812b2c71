"""The server's benchmark: what clients meet is counted, and other bytes are noticed."""

import threading
import time
from itertools import pairwise

import pytest

from unix_lib.speed.serving import SEEDS, OtherBytes, load


def test_clients_ask_in_turn_and_equal_seeds_are_compared() -> None:
    asked: dict[str, list[int]] = {}

    def draw(seed: int) -> bytes:
        asked.setdefault(threading.current_thread().name, []).append(seed)
        time.sleep(0.02)
        return b"%d" % seed

    found = load(draw, 3, 0.4)
    assert len(asked) == 3
    for seeds in asked.values():
        assert len(seeds) > 2
        assert {(after - before) % SEEDS for before, after in pairwise(seeds)} == {3}
    assert 0 < len(found.seconds) <= sum(map(len, asked.values())) and min(found.seconds) >= 0.02
    assert 0 < found.per_second <= 3 / 0.02


def test_another_image_of_a_seed_ends_it() -> None:
    made = iter(range(10**6))
    with pytest.raises(OtherBytes):
        load(lambda seed: b"%d" % next(made), 2, 0.3)
