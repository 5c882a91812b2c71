"""An OpenAI-compatible endpoint in a thread, which a test tells what to answer, and what goes wrong before it does."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """What goes over the line; `cut` bytes of it do, and then the line breaks."""

    status: int = 200
    text: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None


def completion(text: str | None, finish_reason: str = "stop") -> Reply:
    """A chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
    return Reply(text=json.dumps({"id": "some", "object": "chat.completion", "choices": [choice]}))


class FakeEndpoint(ThreadingHTTPServer):
    """Counts what it is asked, before it answers."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer: Callable[[Body], Reply | None], port: int = 0) -> None:
        """Args: answer: to a request's body; None hangs up. port: 0 takes a free one."""
        super().__init__(("127.0.0.1", port), Handler)
        self.answer = answer
        self.seen: list[Body] = []
        self.keys: list[str | None] = []
        self.at_once = self.most_at_once = 0
        self.counting = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/chat/completions"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no news."""


class Handler(BaseHTTPRequestHandler):
    server: FakeEndpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.counting:
            self.server.seen.append(body)
            self.server.keys.append(self.headers.get("Authorization"))
            self.server.at_once += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.at_once)
        try:
            reply = self.server.answer(body)
        finally:
            with self.server.counting:
                self.server.at_once -= 1
        if reply is None:
            return
        data = reply.text.encode()
        self.send_response_only(reply.status)  # without a Date: a test may have one of its own
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: reply.cut])

    def do_GET(self) -> None:
        """`/v1/models`, and `/health`."""
        data = json.dumps({"data": [{"id": "a-model"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Not onto the test's screen."""


@contextmanager
def endpoint(answer: Callable[[Body], Reply | None]) -> Iterator[FakeEndpoint]:
    """One that listens as long as the block runs."""
    server = FakeEndpoint(answer)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
