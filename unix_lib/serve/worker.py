"""A worker: the engine's loop in a process of its own, orders in at one end of a socket, pieces of answers out.

A request that can't be served fails alone. A fault of the engine ends the process: what it holds can't be trusted then,
and the server, which sees the end at once, starts another.
"""

import json
import logging
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unix_lib.artefacts.errors import UserError
from unix_lib.serve.messages import (
    Begun,
    Cancel,
    CannotStart,
    Ended,
    Facts,
    Failed,
    Message,
    Order,
    Pulse,
    frame,
    receive,
)
from unix_lib.serve.reading import Reading

if TYPE_CHECKING:
    from unix_lib.chat.assistant import Assistant
    from unix_lib.inference.requests import Event, Request

PULSE_SECONDS = 0.5  # between signs of life where nothing changes
log = logging.getLogger(__name__)


class Worker:
    """Serves orders from a socket with one assistant."""

    def __init__(
        self,
        connection: socket.socket,
        assistant: "Assistant",
        request_of: Callable[["Assistant", Order], "Request"],
    ) -> None:
        self.connection, self.assistant, self.engine = connection, assistant, assistant.engine
        self.request_of = request_of
        self._orders: queue.SimpleQueue[Order | Cancel] = queue.SimpleQueue()
        self._readings: dict[int, tuple[Reading, Request]] = {}  # by ticket
        self._tickets: dict[int, int] = {}  # by key
        self._pulse, self._beaten = Pulse(0, 0), 0.0

    def run(self) -> None:
        """Serve until the server is gone."""
        threading.Thread(target=self._listen, daemon=True).start()
        self._send(self._facts())
        while True:
            self._take_orders()
            if self.engine.busy:
                for event in self.engine.step():
                    self._pass_on(event)
            self._beat()

    def _listen(self) -> None:
        try:
            while True:
                self._orders.put(receive(self.connection))
        except (EOFError, OSError):
            os._exit(0)  # nobody is left to answer

    def _send(self, message: Message) -> None:
        self.connection.sendall(frame(message))

    def _beat(self) -> None:
        pulse = Pulse(self.engine.running, self.engine.waiting)
        if pulse != self._pulse or time.monotonic() - self._beaten > PULSE_SECONDS:
            self._pulse, self._beaten = pulse, time.monotonic()
            self._send(pulse)

    def _facts(self) -> Facts:
        vocabulary = self.assistant.vocabulary
        return Facts(
            positions=self.assistant.model.config.max_position_embeddings,
            image_size=self.assistant.image_size,
            image_length=vocabulary.image_length,
            tokenizer=self.assistant.tokenizer.backend_tokenizer.to_str(),
        )

    def _take_orders(self) -> None:
        """All that have arrived; where nothing is to be decoded, wait for one."""
        try:
            if not self.engine.busy:
                self._take(self._orders.get(timeout=PULSE_SECONDS))
            while True:
                self._take(self._orders.get_nowait())
        except queue.Empty:
            return

    def _take(self, order: Order | Cancel) -> None:
        if isinstance(order, Cancel):
            ticket = self._tickets.pop(order.key, None)
            if ticket is not None:
                del self._readings[ticket]
                self.engine.cancel(ticket)
            return
        try:
            request = self.request_of(self.assistant, order)
            ticket = self.engine.add(request)
        except UserError as error:
            self._send(Failed(order.key, 400, str(error), "invalid_value"))
        except Exception:
            log.exception("a request could not be prepared")
            self._send(Failed(order.key, 500, "the request could not be prepared", "internal_error"))
        else:
            self._tickets[order.key] = ticket
            self._readings[ticket] = (Reading(self.assistant, order), request)

    def _pass_on(self, event: "Event") -> None:
        if event.ticket not in self._readings:
            return
        reading, request = self._readings[event.ticket]
        key = reading.key
        if not reading.begun and (event.tokens or event.finished):
            reading.begun = True
            image_tokens = int(reading.vocabulary.is_image(np.asarray(request.prompt)).sum())
            self._send(Begun(key, len(request.prompt), image_tokens))
        for piece in reading.feed(event.tokens, last=event.finished is not None):
            self._send(piece)
        if event.finished is None and not reading.stopped:
            return
        if event.finished is None:
            self.engine.cancel(event.ticket)
        self._send(Ended(key, "stop" if reading.stopped else event.finished or "stop", reading.tokens))
        del self._readings[event.ticket], self._tickets[key]


def main(told: str, descriptor: str) -> None:
    """Open a checkpoint and serve it; see `process.launches` for what is told."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's to hear
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    connection = socket.socket(fileno=int(descriptor))
    try:
        from unix_lib.chat.assistant import Assistant
        from unix_lib.serve.asked import request_of

        settings = json.loads(told)
        checkpoint, image_tokenizer = settings.pop("checkpoint"), settings.pop("image_tokenizer")
        assistant = Assistant.open(
            Path(checkpoint), image_tokenizer=None if image_tokenizer is None else Path(image_tokenizer), **settings
        )
    except UserError as error:
        connection.sendall(frame(CannotStart(f"{error}")))
        return
    Worker(connection, assistant, request_of).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
