"""Decoding of many requests that come and go: each has a row of the caches, or two with guidance, until it is done.

A step gives every running request one token more: those whose newest token is text pass the text branch together, those
whose newest token belongs to an image the vision branch. Waiting requests enter in the order of their arrival, as soon
as there are rows for the first of them.

A request's random numbers come from its seed alone. With `batch_invariant` its bits are its own too: a step always has
the same number of rows, a prompt runs alone, and attention looks at as many columns as the request itself can need.
Without it a step has as many rows and columns as are in use, and prompts that arrive together run together: faster
where few requests run, and rounded otherwise in other company.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import count

import numpy as np
import torch
from torch import Tensor

from unix_lib.inference.needs import check_request, is_guided, tokens_needed
from unix_lib.inference.prompts import Prompts
from unix_lib.inference.requests import Event, Request
from unix_lib.inference.running import Running
from unix_lib.inference.sampling import sample
from unix_lib.inference.steps import Steps
from unix_lib.models.configuration import ModelError
from unix_lib.models.decoder import UnixForCausalLM
from unix_lib.models.routing import is_vision

NARROW, WIDE = 128, 256  # columns by which windows grow, the second from `WIDENS` on
WIDENS = 512


class Engine:
    """A model that serves requests."""

    def __init__(
        self, model: UnixForCausalLM, *, rows: int = 16, batch_invariant: bool = True, cuda_graph: bool = False
    ) -> None:
        """Nothing is computed yet.

        Args:
            rows: sequences decoded together, at least 2; a request with guidance takes two.
            batch_invariant: see above.
            cuda_graph: record a step once and replay it.

        Raises:
            ModelError: too few rows, or a graph without a GPU.
        """
        if rows < 2:
            raise ModelError(f"an engine of {rows} rows can't serve guidance, which takes two; give 2 or more")
        self.model, self.rows, self.batch_invariant = model, rows, batch_invariant
        self._steps = Steps(model, rows, cuda_graph=cuda_graph)
        self._free = list(range(rows))
        self._waiting: deque[tuple[int, Request]] = deque()
        self._running: dict[int, Running] = {}
        self._tickets = count()
        self._prompts = Prompts(model, batch_invariant=batch_invariant)

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return bool(self._running or self._waiting)

    @property
    def running(self) -> int:
        """Requests that have rows."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Requests that wait for rows."""
        return len(self._waiting)

    def add(self, request: Request) -> int:
        """Take a request; its ticket, by which events name it.

        Raises:
            ModelError: it can't be served: a prompt that is empty or too long, or sampling settings without meaning.
        """
        check_request(request, self.model.config)
        ticket = next(self._tickets)
        self._waiting.append((ticket, request))
        return ticket

    def cancel(self, ticket: int) -> None:
        """Forget a request; one that is finished already is left alone."""
        if ticket in self._running:
            self._end(self._running[ticket])
        self._waiting = deque(waiting for waiting in self._waiting if waiting[0] != ticket)

    def run(self, requests: Iterable[Request]) -> list[list[int]]:
        """Serve requests to their ends; the new tokens of each, in the order of the requests.

        Raises:
            ModelError: one of them can't be served; none is.
        """
        asked = list(requests)
        for request in asked:
            check_request(request, self.model.config)
        tokens: dict[int, list[int]] = {self.add(request): [] for request in asked}
        while self.busy:
            for event in self.step():
                tokens[event.ticket] += event.tokens
        return list(tokens.values())

    @torch.inference_mode()
    def step(self) -> list[Event]:
        """Let waiting requests enter, and give every running one a token more."""
        self._admit()
        rows, widths = self._shape()
        for vision in (False, True):
            ids = self._to_be_fed(vision)
            if ids:
                self._steps.step(ids, vision, rows, widths)
        ready = [running for running in self._running.values() if not running.fed]
        writing = [running for running in ready if not running.drawing]
        drawing = [running for running in ready if running.drawing]  # before a text's new token opens an image
        for chosen, vision in ((writing, False), (drawing, True)):
            if chosen:
                self._sample(chosen, self._steps.logits(vision, rows))
        events = []
        for running in list(self._running.values()):
            events.append(Event(running.ticket, tuple(running.new), running.finished))
            running.new.clear()
            if running.finished is not None:
                self._end(running)
        return events

    def _shape(self) -> tuple[int, list[int]]:
        """Rows of this step, and the columns that are looked at."""
        if self.batch_invariant:
            return self.rows, sorted({running.width for running in self._running.values()})
        rows = 1 + max((row for running in self._running.values() for row in running.rows), default=0)
        # Guidance's own prompt may be the longer one.
        longest = max((running.length for running in self._running.values()), default=1)
        return max(2, rows), [min(_width(longest), self._steps.slots.capacity)]

    def _end(self, running: Running) -> None:
        del self._running[running.ticket]
        for row in running.rows:
            heapq.heappush(self._free, row)

    def _admit(self) -> None:
        """Give rows to those who have waited longest."""
        entered: list[Running] = []
        while self._waiting and len(self._free) >= 1 + is_guided(self._waiting[0][1]):
            ticket, request = self._waiting.popleft()
            rows = [heapq.heappop(self._free) for _ in range(1 + is_guided(request))]
            drawing = request.image is not None and request.prompt[-1] == self.model.config.vision_start_id
            running = Running(
                ticket,
                request,
                self.model.config,
                rows,
                width=_width(tokens_needed(request, self.model.config)),
                random=np.random.Generator(np.random.Philox(key=request.seed)),
                length=max(len(request.prompt), len(request.unconditional)),
                drawing=drawing,
                images=int(drawing),
            )
            scopes = ["joint", *["text"] * (request.text is not None), *["vision"] * (request.image is not None)]
            self._steps.reserve(scopes, running.width)
            self._running[ticket] = running
            entered.append(running)
        begun = [(running.rows[0], tuple(running.request.prompt), running.width) for running in entered]
        begun += [
            (running.rows[1], tuple(running.request.unconditional), running.width)
            for running in entered
            if running.drawing and running.guided
        ]
        self._begin(begun)

    def _begin(self, begun: Sequence[tuple[int, tuple[int, ...], int]]) -> None:
        """Let rows begin: each with its prompt and its width."""
        prompts = self._prompts.run([ids for _, ids, _ in begun])
        for row, ids, width in begun:
            self._steps.begin(row, prompts[ids], width)

    def _to_be_fed(self, vision: bool) -> dict[int, int]:
        """The next token of every row that waits for one of a modality."""
        ids: dict[int, int] = {}
        for running in self._running.values():
            if running.fed and is_vision(running.fed[0], self.model.config) == vision:
                token = running.fed.popleft()
                ids |= dict.fromkeys(running.rows[: 2 if vision else 1], token)
        return ids

    def _sample(self, chosen: Sequence[Running], logits: Tensor) -> None:
        """Pick the next token of some requests, those with like settings together; logits (n, V) of all rows."""
        alike: dict[object, list[Running]] = {}
        for running in chosen:
            alike.setdefault(running.settings, []).append(running)
        for together in alike.values():
            first = together[0]
            settings = first.request.image if first.drawing else first.request.text
            assert settings is not None
            own = logits[[running.rows[0] for running in together]]
            if first.drawing and first.guided:
                free = logits[[running.rows[1] for running in together]]
                # PAPER: guidance works on raw logits, u + s (c - u).
                own.sub_(free).mul_(settings.guidance_scale).add_(free)  # type: ignore[union-attr]
            elif not first.drawing:
                own[:, first.not_text] = -torch.inf
            numbers = torch.tensor([running.random.random() for running in together], dtype=torch.float64)
            picked = sample(
                own,
                numbers.to(logits.device),
                temperature=settings.temperature,
                top_k=settings.top_k,
                top_p=settings.top_p,
            )
            for running, token in zip(together, picked.tolist(), strict=True):
                if running.take(token) and running.guided:
                    before = tuple(running.request.unconditional[:-1])  # its marker is fed with the other branch's
                    self._begin([(running.rows[1], before, running.width)])


def _width(tokens: int) -> int:
    """Columns for so many tokens: a few widths only, so that most requests share one."""
    step = NARROW if tokens <= WIDENS else WIDE
    return -(-tokens // step) * step
