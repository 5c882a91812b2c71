"""Starts the server of a checkpoint for those who ask it, and stops it whatever happens in between."""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import requests

from unix_lib.artefacts.recipe import recipe_of
from unix_lib.jobs.job import Job
from unix_lib.scoring.errors import ScoringError
from unix_lib.scoring.lists import ScoredModel

SECONDS_TO_END = 20.0
POLL_SECONDS = 0.2
SHOWN = 300  # characters of the end of its log in a message

log = logging.getLogger(__name__)


def serve_command(checkpoint: Path, port: int, options: Sequence[str]) -> list[str]:
    """What starts a server of a checkpoint."""
    return [sys.executable, "-m", "unix_lib", "serve", str(checkpoint), "--port", str(port), *options]


def server_of(model: ScoredModel, job: Job[Any, Any]) -> contextlib.AbstractContextManager[str | None]:
    """The server that a model of a list asks for, for a job that asks it; nothing for one behind an address."""
    server = model.server
    if server is None:
        return contextlib.nullcontext()
    behind = recipe_of(job.input("checkpoint")).inputs
    checkpoint, tokenizer = (job.results / str(behind[role]) for role in ("checkpoint", "image_tokenizer"))
    options = {
        "workers": server.workers,
        "slots": model.batch_size,
        "queue": server.concurrency,
        "seconds": server.seconds,
        "device": model.device,
        "image-tokenizer": tokenizer,
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    log_file = job.results / "logs" / "serve" / f"{checkpoint.name}.log"
    return served(checkpoint, words, log_file, server.seconds_to_start)


@contextlib.contextmanager
def served(checkpoint: Path, options: Sequence[str], log_file: Path, seconds: float) -> Iterator[str]:
    """A server of a checkpoint on this machine, ready; gives its address, up to and with /v1.

    Args:
        options: of `serve`, beside its port.
        log_file: what it prints.
        seconds: longest wait until it is ready.

    Raises:
        ScoringError: it ends before, or is not ready in time.
    """
    port = _free_port()
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with open(log_file, "wb") as output:
        # A group of its own: Ctrl-C reaches this process, which stops it in order, with all that it started.
        process = subprocess.Popen(
            serve_command(checkpoint, port, options), stdout=output, stderr=output, start_new_session=True
        )
    with _stopped_by_signals(process):
        try:
            log.info("starting a server of %s; its log is %s", checkpoint.name, log_file)
            _wait_until_ready(process, f"http://127.0.0.1:{port}/health", log_file, time.monotonic() + seconds)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            _stop(process)


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@contextlib.contextmanager
def _stopped_by_signals(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Ctrl-C, or SIGTERM as of SLURM, stops the server at once, so that nobody waits for its answers, then us."""

    def leave(number: int, _: FrameType | None) -> None:
        _stop(process)
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait_until_ready(process: "subprocess.Popen[bytes]", health: str, log_file: Path, until: float) -> None:
    while time.monotonic() < until:
        if process.poll() is not None:
            said = log_file.read_text(encoding="utf-8", errors="replace").strip()[-SHOWN:]
            raise ScoringError(
                f"the server ended with exit code {process.returncode} before it was ready; its log {log_file} ends "
                f"with: {' '.join(said.split()) or 'nothing'}"
            )
        with contextlib.suppress(requests.RequestException):
            if requests.get(health, timeout=POLL_SECONDS * 10).ok:
                return
        time.sleep(POLL_SECONDS)
    raise ScoringError(f"the server was not ready in time; look at {log_file}, or raise server.seconds_to_start")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End the server and all that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS_TO_END)
