"""Asks a model behind an OpenAI-compatible endpoint, many requests at a time.

An answer is kept as soon as it is there, so that whoever repeats a call asks only for what is missing. A request that
gets no answer is counted and never becomes one; one that the endpoint refuses, as it would again, is set aside.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import requests

from unix_lib.artefacts.files import digest_of
from unix_lib.artefacts.recipe import recipe_of
from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.config.brought import AskingExecution, EndpointSettings
from unix_lib.endpoints.client import Endpoint
from unix_lib.endpoints.errors import EndpointError, NoAnswer, Refused
from unix_lib.images.files import BadImage
from unix_lib.jobs.job import Job
from unix_lib.translate.answers import Answers
from unix_lib.translate.asking import COMPLETE, Answer
from unix_lib.translate.translator import LOG_SECONDS, MOST_REFUSALS, OF_THE_TEXT

ASKED = "asked"  # folder of a job's work with the answers so far
REFUSED = "refused by the endpoint"  # why a question is set aside
POLL_SECONDS = 0.2
MOST_SILENT = 10  # requests in a row without an answer: then nobody is there

log = logging.getLogger(__name__)
Body = Callable[[], dict[str, Any]]


class AskedModel:
    """A model behind an address, asked for one job."""

    def __init__(self, job: Job[Any, AskingExecution]) -> None:
        """Nothing is asked yet."""
        self.folder = job.input("checkpoint")
        self.settings = EndpointSettings.model_validate(recipe_of(self.folder).settings)
        self.name, self.execution, self.work = job.recipe.name, job.execution, job.work / ASKED
        self.url = str(job.execution.url or self.settings.url).rstrip("/")

    def ask(self, path: str, bodies: Mapping[str, Body], read: Callable[[bytes], str]) -> dict[str, str | BadImage]:
        """What it answers to each request, by the request's name; or why that is set aside.

        Args:
            path: of the endpoint below the address.
            bodies: of the requests, but for the model's name; one may raise `BadImage`.
            read: makes an answer of a reply, or raises `Unreadable`.

        Raises:
            BenchmarkError: a request got no answer, or all were refused.
        """
        try:
            endpoint = Endpoint(self.name, self.url + path, self.execution)
        except EndpointError as error:
            raise BenchmarkError(f"{self.name}: endpoint {self.url}: {error}") from None
        with Answers(self.work, "answers") as kept:
            missing = {name: body for name, body in bodies.items() if kept.get(digest_of(name)) is None}
            log.info("%s: %d of %d answers are to be asked for", self.name, len(missing), len(bodies))
            asking = _Asking(self, endpoint, kept, len(bodies))
            if missing:
                asking.all(missing, read, {"model": self._model(endpoint)} | self.settings.parameters)
            found = {name: kept.get(digest_of(name)) for name in bodies}
            return {name: asking.aside[name] if answer is None else str(answer.text) for name, answer in found.items()}

    def _model(self, endpoint: Endpoint) -> str:
        """The model's name, or the first that the address lists."""
        if self.settings.model:
            return self.settings.model
        try:
            reply = requests.get(f"{self.url}/models", headers=endpoint.headers, timeout=self.execution.seconds)
            return str(reply.json()["data"][0]["id"])
        except (requests.RequestException, ValueError, LookupError, TypeError):
            raise BenchmarkError(
                f"{self.name}: {self.url}/models lists no model; start it, or name its 'model'"
            ) from None


class _Asking:
    """Many requests of one job, at once."""

    def __init__(self, model: AskedModel, endpoint: Endpoint, kept: Answers, total: int) -> None:
        self.model, self.endpoint, self.kept, self.total = model, endpoint, kept, total
        self.aside: dict[str, BadImage] = {}  # by the request's name
        self._silent: list[str] = []
        self._in_a_row = 0  # without an answer
        self._end: BaseException | None = None
        self._counting = threading.Lock()
        self._logged = time.monotonic()

    def all(self, missing: Mapping[str, Body], read: Callable[[bytes], str], common: dict[str, Any]) -> None:
        """Ask for everything; returns when each has an answer or is set aside.

        Nobody waits for requests under way where it ends before, also by Ctrl-C: an answer may take minutes.

        Raises:
            BenchmarkError: some have neither.
        """
        waiting, count = iter(missing.items()), min(self.model.execution.concurrency, len(missing))
        threads = [threading.Thread(target=self._work, args=(waiting, read, common), daemon=True) for _ in range(count)]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive() and self._end is None:
                    thread.join(POLL_SECONDS)
        except BaseException:
            self._end = InterruptedError()
            raise
        finally:
            self.endpoint.close()
        if self._end is not None:
            raise self._end
        if self._silent:
            raise BenchmarkError(
                f"{self.model.name}: {len(self._silent)} of {self.total} requests got no answer (the first: "
                f"{self._silent[0]}); what was answered is kept: run again, which asks only for the others"
            )

    def _work(self, waiting: Iterator[tuple[str, Body]], read: Callable[[bytes], str], common: dict[str, Any]) -> None:
        """Make one request after the other."""
        try:
            while self._end is None:
                with self._counting:
                    name, body = next(waiting, (None, None))
                if name is None or body is None:
                    return
                self._one(name, body, read, common)
        except Exception:  # raised where somebody waits for it
            self._end = self._end or sys.exception()

    def _one(self, name: str, body: Body, read: Callable[[bytes], str], common: dict[str, Any]) -> None:
        try:
            self.kept.add(digest_of(name), Answer(self.endpoint.post(body() | common, read), COMPLETE))
            self._in_a_row = 0
        except BadImage as fault:
            self.aside[name] = fault
        except Refused as error:
            if error.status not in OF_THE_TEXT:
                raise self._stopped(f"{error}; correct its address, key or model") from None
            with self._counting:
                self.aside[name] = BadImage(REFUSED, f"status {error.status}")
            if not len(self.kept) and len(self.aside) >= min(MOST_REFUSALS, self.total):
                raise self._stopped(f"{error}, as all before it; correct its parameters") from None
        except NoAnswer as error:
            with self._counting:
                self._silent.append(str(error))
                self._in_a_row += 1
            if self._in_a_row >= MOST_SILENT:
                remedy = "what it has answered is kept, so start it and run again"
                raise self._stopped(f"{error}, {self._in_a_row} requests in a row; {remedy}") from None
        self._tell()

    def _stopped(self, why: str) -> BenchmarkError:
        """The error that ends the job: nothing more is asked."""
        return BenchmarkError(f"{self.model.name}: endpoint {self.model.url}: {why}")

    def _tell(self) -> None:
        with self._counting:
            if time.monotonic() - self._logged < LOG_SECONDS:
                return
            self._logged = time.monotonic()
        log.info("%s: %d of %d answers", self.model.name, len(self.kept), self.total)
