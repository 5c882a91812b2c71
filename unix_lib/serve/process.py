"""One worker process, seen from the server: started, listened to, started again when it dies or falls silent."""

import asyncio
import json
import logging
import os
import pickle
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from unix_lib.serve.messages import LENGTH, Cancel, CannotStart, Facts, Message, Order, Pulse, frame
from unix_lib.serve.settings import ServeError, Serving

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds before a worker that died is started again, doubled each time
LAST_SECONDS = 5.0  # for a worker that has closed its socket to end
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Launch:
    """How a worker is started: `command` gets the number of its socket as last argument."""

    command: tuple[str, ...]
    environment: dict[str, str]


def launches(serving: Serving) -> list[Launch]:
    """One for each worker: a GPU each, or a share of the cores."""
    told = {
        "checkpoint": str(serving.checkpoint.resolve()),
        "image_tokenizer": None if serving.image_tokenizer is None else str(serving.image_tokenizer.resolve()),
        "device": serving.device,
        "slots": serving.slots,
        "batch_invariant": serving.batch_invariant,
    }
    command = (sys.executable, "-m", "unix_lib.serve.worker", json.dumps(told))
    named = os.environ.get("CUDA_VISIBLE_DEVICES")  # empty where none is to be used
    gpus = list(map(str, range(serving.workers))) if named is None else [name for name in named.split(",") if name]
    if serving.device == "cpu":
        gpus = []
    if 0 < len(gpus) < serving.workers:
        raise ServeError(
            f"{serving.workers} workers, but CUDA_VISIBLE_DEVICES names {len(gpus)}; give as many, or --device cpu"
        )
    # A core is the HTTP process's own: where it takes one from a worker's threads, all of them wait for that one.
    threads = str(max(1, (len(os.sched_getaffinity(0)) - 1) // serving.workers))
    found = []
    for number in range(serving.workers):
        # Threads that spin for long until the next kernel take cores from others: on a busy machine a step of a small
        # model then takes a hundred times as long. Ones that sleep at once make it half as fast on an idle machine.
        shared = {"OMP_NUM_THREADS": threads, "GOMP_SPINCOUNT": "10000"}
        environment = {name: os.environ.get(name, value) for name, value in shared.items()}
        if gpus:
            environment["CUDA_VISIBLE_DEVICES"] = gpus[number]
        found.append(Launch(command, environment))
    return found


class WorkerProcess:
    """Keeps one worker alive."""

    def __init__(
        self,
        launch: Launch,
        silent_seconds: float,
        hears: Callable[["WorkerProcess", Message], None],
        died: Callable[["WorkerProcess"], None],
    ) -> None:
        self.launch, self.silent_seconds = launch, silent_seconds
        self._hears, self._died = hears, died
        self.facts: Facts | None = None  # None while it can't be asked
        self.pulse = Pulse(0, 0)
        self.restarts = 0
        self.pid: int | None = None
        self._writer: asyncio.StreamWriter | None = None

    def send(self, message: Order | Cancel) -> None:
        """Send, where there is somebody to hear it."""
        if self._writer is not None:
            self._writer.write(frame(message))

    async def keep(self, started: "asyncio.Future[Facts]") -> None:
        """Start it, again and again, until cancelled.

        Args:
            started: gets its first facts, or a `ServeError` where the first start fails.
        """
        wait = FIRST_WAIT
        while True:
            begun = time.monotonic()
            try:
                why = await self._live(started)
            finally:
                self.facts, self._writer, self.pulse = None, None, Pulse(0, 0)
            if not started.done():
                started.set_exception(ServeError(why))
                return
            self._died(self)
            wait = min(FIRST_WAIT if time.monotonic() - begun > LONGEST_WAIT else wait, LONGEST_WAIT)
            log.error("worker %s ended (%s); started again in %.1f s", self.pid, why, wait)
            await asyncio.sleep(wait)
            wait *= 2
            self.restarts += 1

    async def _live(self, started: "asyncio.Future[Facts]") -> str:
        """From its start to its end; says why it ended."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *self.launch.command,
                str(theirs.fileno()),
                env=os.environ | self.launch.environment,
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
            )
        self.pid = process.pid
        reader, self._writer = await asyncio.open_connection(sock=ours)
        try:
            while True:
                # Loading a checkpoint takes as long as it takes.
                async with asyncio.timeout(None if self.facts is None else self.silent_seconds):
                    (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
                    message: Message = pickle.loads(await reader.readexactly(length))
                if isinstance(message, CannotStart):
                    return message.message
                if isinstance(message, Facts):
                    self.facts = message
                    if not started.done():
                        started.set_result(message)
                if isinstance(message, Pulse):
                    self.pulse = message
                self._hears(self, message)
        except TimeoutError:
            return f"silent for {self.silent_seconds:g} s"
        except (asyncio.IncompleteReadError, ConnectionError):
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), LAST_SECONDS)
            return f"exit status {process.returncode}"
        finally:
            self._writer.close()
            if process.returncode is None:
                process.kill()
                await process.wait()
