"""A server in a thread of the test's process, with workers whose model is made up."""

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

import requests
from openai import OpenAI

from unix_lib.serve.process import Launch
from unix_lib.serve.run import serve
from unix_lib.serve.settings import Limits, Serving

FAKE = (sys.executable, "-m", "tests.serve.fake")
PATIENCE = 20.0  # seconds; a test that waits so long has failed


class RunningServer:
    """Its address, and what tests ask it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.client = OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0, timeout=PATIENCE)

    def post(self, path: str, body: Any, **more: Any) -> requests.Response:
        return requests.post(f"{self.address}/v1/{path}", json=body, timeout=PATIENCE, **more)

    def chat(self, text: str, **more: Any) -> requests.Response:
        return self.post("chat/completions", {"messages": [{"role": "user", "content": text}]} | more)

    def draw(self, prompt: str, **more: Any) -> requests.Response:
        return self.post("images/generations", {"prompt": prompt} | more)

    def health(self) -> requests.Response:
        return requests.get(f"{self.address}/health", timeout=PATIENCE)

    def measured(self, name: str, label: str = "") -> float:
        """A number of /metrics: the sum over what has a label."""
        lines = requests.get(f"{self.address}/metrics", timeout=PATIENCE).text.splitlines()
        found = [
            float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"vllm:{name}{{") and label in line
        ]
        return sum(found)

    def wait_for(self, name: str, value: float) -> None:
        wait_until(lambda: self.measured(name) == value)

    def wait_until_idle(self) -> None:
        """Nothing runs, waits or is held any more."""
        for name in ("num_requests_running", "num_requests_waiting", "request_bytes_held"):
            self.wait_for(name, 0)


def wait_until(holds: Callable[[], bool]) -> None:
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() - begun < PATIENCE, "waited in vain"
        time.sleep(0.01)


def assert_refused(response: requests.Response, status: int, code: str, param: str | None = None) -> None:
    """The whole form of an error, as OpenAI's clients read it."""
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (status, code, param), error
    assert response.json().keys() == {"error"} and error.keys() == {"message", "type", "param", "code"}
    assert error["message"] and error["type"].endswith("_error")


@contextmanager
def running_server(
    limits: Limits, *, workers: int = 1, command: Sequence[str] = FAKE, **settings: Any
) -> Iterator[RunningServer]:
    settings = {"port": 0, "slots": 4, "workers": workers, "limits": limits} | settings
    serving = Serving(Path("made-up"), "made-up", **settings)
    told: Queue[str | BaseException] = Queue()
    loop = asyncio.new_event_loop()
    task = loop.create_task(serve(serving, [Launch(tuple(command), {})] * workers, told.put))

    def run() -> None:
        try:
            loop.run_until_complete(task)
        except BaseException as error:
            told.put(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        address = told.get(timeout=PATIENCE)
        if isinstance(address, BaseException):
            raise address
        yield RunningServer(address)
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(PATIENCE)
        assert not thread.is_alive()
        loop.close()
