"""The workers behind one address: answers wait here in one line, and go to whichever worker has the most room.

A worker gets few more than it can decode together, so that what waits survives it. What it was decoding ends at once.
"""

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from unix_lib.serve.errors import ApiError
from unix_lib.serve.limits import busy
from unix_lib.serve.messages import Answer, Cancel, CannotStart, Ended, Facts, Failed, Message, Order, Pulse
from unix_lib.serve.metrics import Metrics
from unix_lib.serve.process import Launch, WorkerProcess
from unix_lib.serve.settings import Limits
from unix_lib.serve.streams import until

AHEAD = 3  # answers given to a worker for each of its slots, which two share without guidance: none waits for the next


class Run:
    """The answers that one client waits for: n of them, in one queue of messages. Cancels what is left at its end."""

    def __init__(self, pool: "Pool", keys: Sequence[int], deadline: float) -> None:
        """`deadline` is of the event loop's clock."""
        self.pool, self.deadline = pool, deadline
        self.arrived: asyncio.Queue[Answer] = asyncio.Queue()
        self.index = {key: index for index, key in enumerate(keys)}  # place among the n
        self.open = set(keys)
        self.measured = pool.metrics.run()
        self._first: Answer | None = None

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        for key in list(self.open):
            self.pool.cancel(key)
        self.measured.end(aborted=len(self.open))

    async def begin(self) -> None:
        """Wait for the first message, which `next` then gives; raises as it does."""
        self._first = await self.next()

    async def next(self) -> Answer | None:
        """The next message; None after the last answer's end.

        Raises:
            ApiError: an answer failed, or the deadline passed (504).
        """
        if self._first is not None:
            message, self._first = self._first, None
            return message
        if not self.open:
            return None
        async with until(self.deadline):
            message = await self.arrived.get()
        if isinstance(message, Failed):
            self.open.discard(message.key)
            self.measured.failed()
            raise ApiError(
                message.status, message.message, code=message.code, wait=1 if message.status == 503 else None
            )
        self.measured.hear(message)
        if isinstance(message, Ended):
            self.open.discard(message.key)
        return message


class Pool:
    """All workers, and who waits for them."""

    def __init__(self, launches: Sequence[Launch], slots: int, limits: Limits, metrics: Metrics) -> None:
        self.limits, self.metrics, self._keys = limits, metrics, itertools.count()
        self.slots = slots
        self.room = AHEAD * slots
        self.waiting: OrderedDict[int, tuple[Run, Order]] = OrderedDict()
        self.workers = [WorkerProcess(each, limits.silent_seconds, self._hear, self._lose) for each in launches]
        self.given: dict[WorkerProcess, dict[int, Run]] = {worker: {} for worker in self.workers}
        self._at: dict[int, WorkerProcess] = {}
        self._tasks: list[asyncio.Task[None]] = []
        metrics.watch(self)

    async def start(self) -> Facts:
        """Start all workers; what their checkpoint is like.

        Raises:
            ServeError: one can't start.
        """
        started: list[asyncio.Future[Facts]] = [asyncio.get_running_loop().create_future() for _ in self.workers]
        self._tasks = [
            asyncio.create_task(worker.keep(future)) for worker, future in zip(self.workers, started, strict=True)
        ]
        return (await asyncio.gather(*started))[0]

    async def stop(self) -> None:
        """End all workers."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def alive(self) -> int:
        """Workers that answer."""
        return sum(worker.facts is not None for worker in self.workers)

    def check_room(self, answers: int) -> None:
        """Refuse where too many wait already.

        Raises:
            ApiError: 429.
        """
        if len(self.waiting) + answers > self.limits.queue:
            raise busy(f"{len(self.waiting)} answers wait already")

    def submit(self, orders: Sequence[Order], deadline: float) -> Run:
        """Put answers in the line; their keys are given here.

        Raises:
            ApiError: 429, the line is too long.
        """
        self.check_room(len(orders))
        keys = [next(self._keys) for _ in orders]
        run = Run(self, keys, deadline)
        self.waiting.update((key, (run, replace(order, key=key))) for key, order in zip(keys, orders, strict=True))
        self._hand_out()
        return run

    def cancel(self, key: int) -> None:
        """Nobody waits for an answer any more."""
        self.waiting.pop(key, None)
        worker = self._at.pop(key, None)
        if worker is not None and self.given[worker].pop(key, None) is not None:
            worker.send(Cancel(key))
            self._hand_out()

    def _hand_out(self) -> None:
        while self.waiting:
            able = [worker for worker in self.workers if worker.facts and len(self.given[worker]) < self.room]
            if not able:
                return
            worker = min(able, key=lambda each: len(self.given[each]))
            key, (run, order) = self.waiting.popitem(last=False)
            self.given[worker][key] = run
            self._at[key] = worker
            worker.send(order)

    def _hear(self, worker: WorkerProcess, message: Message) -> None:
        if isinstance(message, Facts | Pulse | CannotStart):
            return self._hand_out()
        run = self.given[worker].get(message.key)
        if run is None:  # cancelled meanwhile
            return None
        run.arrived.put_nowait(message)
        if isinstance(message, Ended | Failed):
            del self.given[worker][message.key], self._at[message.key]
            self._hand_out()
        return None

    def _lose(self, worker: WorkerProcess) -> None:
        """A worker died: its answers end, those in the line stay."""
        for key, run in self.given[worker].items():
            del self._at[key]
            run.arrived.put_nowait(Failed(key, 503, "the worker that made this answer died; ask again", "worker_died"))
        self.given[worker] = {}
