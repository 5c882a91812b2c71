"""Translates texts: what the kept answers say already, and the rest through an endpoint, many at once."""

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType
from typing import Any

from unix_lib.config.translate import TranslationEndpoint, Wording
from unix_lib.endpoints.client import Endpoint, Unreadable
from unix_lib.endpoints.errors import EndpointError, NoAnswer, Refused
from unix_lib.records.lines import BadLine, text_of, value_of
from unix_lib.translate.answers import Answers
from unix_lib.translate.asking import REFUSED, UNFINISHED, Answer, Request, settled
from unix_lib.translate.errors import TranslateError, Unfaithful
from unix_lib.translate.protected import Protected, protect

OF_THE_TEXT = (400, 413, 422)  # statuses of a refusal that another text may not meet
MOST_REFUSALS = 20  # before the first answer: then it is the request that is wrong, not the texts
SILENT = "no answer from the endpoint"
LOG_SECONDS = 10.0

_log = logging.getLogger(__name__)
Outcome = str | Unfaithful  # a translation, or why there is none


class Translator:
    """A context manager: translates with one wording, keeps all answers."""

    def __init__(self, name: str, wording: Wording, where: TranslationEndpoint, folder: Path) -> None:
        """Args: name: of the translation, for messages and for the file of its answers. folder: where answers are."""
        self.name, self.wording, self.where = name, wording, where
        self.answers = Answers(folder, name)
        self.endpoint: Endpoint | None = None
        self._failed: dict[str, Unfaithful] = {}  # by the key of a request that gets no answer
        self._end: TranslateError | None = None
        self._counting = threading.Lock()
        self._logged = time.monotonic()

    def __enter__(self) -> "Translator":
        if self.where.url is not None:
            try:
                self.endpoint = Endpoint(self.name, self.where.url, self.where, self.where.requests_per_minute)
            except EndpointError as error:
                raise TranslateError(f"{self.name}: endpoint {self.where.url}: {error}") from None
        self.answers.__enter__()
        self._pool = ThreadPoolExecutor(self.where.concurrency)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.endpoint is not None:
            self.endpoint.close()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self.answers.__exit__(kind, error, trace)

    @property
    def metrics(self) -> dict[str, int]:
        """How much was asked for; none of it repeats."""
        return {"requests": self.endpoint.sent if self.endpoint else 0, "answers": self.answers.added}

    def translate(self, texts: Iterable[str]) -> dict[str, Outcome]:
        """Each text with its translation, or with why there is none that counts.

        Raises:
            TranslateError: the endpoint can't be reached, refuses, or there is none and an answer is missing.
        """
        protected = {text: protect(text, self.wording.keep) for text in texts}
        # Texts that differ in what surrounds them are asked for once.
        different = {(each.shown, each.spans): each for each in protected.values()}
        done, _ = wait([self._pool.submit(self._settle, each) for each in different.values()], None, FIRST_EXCEPTION)
        for future in done:
            if (error := future.exception()) is not None:
                raise error
        return {text: self._known(each) for text, each in protected.items()}

    def missing(self, texts: Iterable[str]) -> Iterator[Request]:
        """The next request of each text that has neither a translation nor a last word yet."""
        for text in texts:
            try:
                found = settled(protect(text, self.wording.keep), self.wording, self._answer_to)
            except Unfaithful:
                continue
            if isinstance(found, Request):
                yield found

    def _known(self, text: Protected) -> Outcome:
        try:
            found = settled(text, self.wording, self._answer_to)
        except Unfaithful as fault:
            return fault
        assert isinstance(found, str)
        return found

    def _answer_to(self, request: Request) -> Answer | None:
        if request.key in self._failed:
            raise self._failed[request.key]
        return self.answers.get(request.key)

    def _settle(self, text: Protected) -> None:
        """Ask until a text has a translation, or none of its answers counts."""
        try:
            while isinstance(request := settled(text, self.wording, self._answer_to), Request):
                self._ask(request)
        except Unfaithful:
            return

    def _ask(self, request: Request) -> None:
        endpoint = self.endpoint
        if endpoint is None:
            raise TranslateError(
                f"{self.name}: a text has no answer in {self.answers.folder}, and no endpoint is named; set "
                "translate.endpoint.url, or export a batch file, have it answered and import that"
            )
        if self._end is not None:
            raise self._end
        before = endpoint.answered
        try:
            self.answers.add(request.key, endpoint.post(request.body, answer_in))
        except Refused as error:
            if error.status not in OF_THE_TEXT:
                raise self._stopped(f"{error}; correct its address, key or model") from None
            self._fail(request, UNFINISHED[REFUSED], f"status {error.status}")
            if not endpoint.answered and len(self._failed) >= MOST_REFUSALS:
                raise self._stopped(f"{error}, as all before it; correct the parameters") from None
        except NoAnswer as error:
            if endpoint.answered == before:  # it answers nobody
                remedy = "start it, or correct translate.endpoint.url; what it has answered is kept, so run again"
                raise self._stopped(f"{error}; {remedy}") from None
            self._fail(request, SILENT, str(error))
        self._tell()

    def _stopped(self, why: str) -> TranslateError:
        """The error that ends the job: nothing more is asked."""
        self._end = TranslateError(f"{self.name}: endpoint {self.where.url}: {why}")
        return self._end

    def _fail(self, request: Request, reason: str, detail: str) -> None:
        with self._counting:
            self._failed[request.key] = Unfaithful(reason, detail)

    def _tell(self) -> None:
        with self._counting:
            if time.monotonic() - self._logged < LOG_SECONDS:
                return
            self._logged = time.monotonic()
        _log.info("%d answers, %d requests", self.metrics["answers"], self.metrics["requests"])


def answer_in(reply: bytes) -> Answer:
    """What a chat completion says.

    Raises:
        Unreadable: it is none, or breaks off.
    """
    try:
        return answer_of(value_of(text_of(reply)))
    except BadLine:
        raise Unreadable("an answer that is not JSON") from None


def answer_of(completion: Any) -> Answer:
    """What a chat completion says.

    Raises:
        Unreadable: it is none.
    """
    try:
        choice = completion["choices"][0]
        text, reason = choice["message"].get("content"), choice.get("finish_reason")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise Unreadable("an answer that is no chat completion") from None
    if not isinstance(text, str | None) or not isinstance(reason, str | None):
        raise Unreadable("an answer that is no chat completion")
    return Answer(text, reason)
