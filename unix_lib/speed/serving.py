"""The server under load beside the same engine without one: clients that come one after another and stay."""

import os
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
import requests

from unix_lib.chat.assistant import Assistant
from unix_lib.scoring.server import served
from unix_lib.speed.model import Row

PROMPT = "a photo of a red circle"
SEEDS = 40  # that clients ask for, again and again, so that equal ones meet in other company
ALONE = 15  # images one at a time
SECONDS_TO_START = 600.0

Draw = Callable[[int], bytes]


class OtherBytes(Exception):
    """The same seed gave another image."""


@dataclass(frozen=True)
class Load:
    """What clients met."""

    per_second: float  # while all of them were there
    seconds: list[float]  # of each image that was asked for by then


def load(draw: Draw, clients: int, seconds: float) -> Load:
    """Let clients ask for images in turn, each as soon as it has its last one; they come over a quarter of the time.

    Args:
        draw: gives the image of a seed, and may be called by several threads at once.

    Raises:
        OtherBytes: a seed's images differ.
    """
    begun = time.monotonic()
    all_there, end = begun + seconds / 4, begun + seconds
    taken: list[tuple[float, float]] = []  # when an image was asked for, and when it came
    images: dict[int, bytes] = {}
    adding = threading.Lock()

    def client(number: int) -> None:
        time.sleep(seconds / 4 * number / clients)
        asked = number
        while (start := time.monotonic()) < end:
            seed = asked % SEEDS
            image = draw(seed)
            with adding:
                taken.append((start, time.monotonic()))
                if images.setdefault(seed, image) != image:
                    raise OtherBytes(f"seed {seed}")
            asked += clients

    with ThreadPoolExecutor(clients) as pool:
        for done in [pool.submit(client, number) for number in range(clients)]:
            done.result()
    came = sum(all_there <= came <= end for _, came in taken)
    return Load(came / (end - all_there), [came - start for start, came in taken if start >= all_there])


def serving_rows(
    checkpoint: Path, image_tokenizer: Path | None, *, clients: int, slots: int, seconds: float, log_file: Path
) -> list[Row]:
    """Images/s and latencies of the server and of the engine in full batches; and both with one image at a time."""
    assistant = Assistant.open(checkpoint, image_tokenizer=image_tokenizer, slots=slots)
    before = _batches(assistant, slots, seconds / 8)
    options = ["--slots", str(slots), *(["--image-tokenizer", str(image_tokenizer)] if image_tokenizer else [])]
    with served(checkpoint, options, log_file, SECONDS_TO_START) as address:
        draw = _drawing(address)
        draw(0)
        begun, before_load = time.monotonic(), _cpu_seconds()
        found = load(draw, clients, seconds)
        cores = (time.monotonic() - begun) * (os.cpu_count() or 1)
        used = [after - earlier for earlier, after in zip(before_load, _cpu_seconds(), strict=True)]
        pairs = [(_timed(partial(_draw, assistant, [seed])), _timed(partial(draw, seed))) for seed in range(ALONE)]
    times = before + _batches(assistant, slots, seconds / 8)
    batch = statistics.median(times)
    size = f"{clients} clients, {slots} slots, {seconds:g} s"
    waits = sorted(found.seconds)
    turns = clients / slots * batch  # what a client waits where nothing is lost
    rate = found.per_second
    tail = waits[int(0.95 * (len(waits) - 1))]
    alone = [theirs / own for own, theirs in pairs]
    return [
        Row("images/s", size, "engine, full batches", slots / batch, slots / max(times), slots / min(times), 1.0),
        Row("images/s", size, "server", rate, rate, rate, rate * batch / slots),
        Row("seconds an image", size, "engine, if clients took turns", turns, turns, turns, 1.0),
        Row("seconds an image", size, "server, 95% of clients", tail, waits[0], waits[-1], tail / turns),
        Row("server over engine", size, "one image at a time", statistics.median(alone), min(alone), max(alone)),
        *(
            Row("share of the machine's cores", size, name, taken / cores, taken / cores, taken / cores)
            for name, taken in zip(("clients", "HTTP process", "workers"), used, strict=True)
        ),
    ]


def _cpu_seconds() -> tuple[float, float, float]:
    """CPU time that this process, with its clients, the server's HTTP process and its workers have taken so far."""
    servers = psutil.Process().children()
    workers = [child for server in servers for child in server.children()]
    took = [[each.cpu_times() for each in group] for group in (servers, workers)]
    http, working = (sum(times.user + times.system for times in group) for group in took)
    return time.process_time(), http, working


def _batches(assistant: Assistant, slots: int, seconds: float) -> list[float]:
    """Seconds of full batches, pictures included; the first, which allocates, is not counted."""
    _draw(assistant, range(slots))
    until, times = time.monotonic() + seconds, list[float]()
    while not times or time.monotonic() < until:
        times.append(_timed(lambda: _draw(assistant, range(slots))))
    return times


def _draw(assistant: Assistant, seeds: Sequence[int]) -> None:
    for tokens in assistant.engine.run(assistant.image_request(PROMPT, seed=seed) for seed in seeds):
        assistant.read(tokens)


def _drawing(address: str) -> Draw:
    """Asks a server for images, a connection a thread."""
    own = threading.local()

    def draw(seed: int) -> bytes:
        if not hasattr(own, "session"):
            own.session = requests.Session()
        answer = own.session.post(f"{address}/images/generations", json={"prompt": PROMPT, "seed": seed}, timeout=600)
        answer.raise_for_status()
        return str(answer.json()["data"][0]["b64_json"]).encode()

    return draw


def _timed(run: Callable[[], object]) -> float:
    began = time.monotonic()
    run()
    return time.monotonic() - began
