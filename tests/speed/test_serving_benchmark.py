"""The server's benchmark: what clients meet is counted, and other bytes are noticed."""

import subprocess
import sys
import threading
import time
from itertools import pairwise

import psutil
import pytest

from unix_lib.speed.serving import SEEDS, OtherBytes, _cpu_seconds, load


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
    # Each of three gets one image in 0.02 s at most, and one more that was asked for before all were there.
    assert 0 < found.per_second <= 3 / 0.02 + 3 / 0.3


def test_another_image_of_a_seed_ends_it() -> None:
    made = iter(range(10**6))
    with pytest.raises(OtherBytes):
        load(lambda seed: b"%d" % next(made), 2, 0.3)


def test_processor_time_of_a_server_and_of_its_workers_is_told_apart() -> None:
    """A child that waits for a child of its own, which works until it has taken a quarter of a second."""
    works = "import time\nwhile time.process_time() < 0.25: pass\nprint(flush=True); time.sleep(60)"
    waits = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {works!r}])"
    _, server_before, workers_before = _cpu_seconds()
    with subprocess.Popen([sys.executable, "-S", "-c", waits], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None and server.stdout.readline()
        clients, server_took, workers_took = _cpu_seconds()
        (worker,) = psutil.Process(server.pid).children()
        worker.kill()
    assert workers_took - workers_before >= 0.2 > server_took - server_before and clients > 0
