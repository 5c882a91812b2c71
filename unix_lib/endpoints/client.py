"""Posts requests to an endpoint, with patience where it is busy, and no faster than it may be asked.

Several threads may post at once. What one of them is told by a Retry-After holds for all.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from email.utils import mktime_tz, parsedate_tz
from typing import Any, TypeVar

import requests
import tenacity

from unix_lib.config.endpoints import Patience
from unix_lib.endpoints.errors import NoAnswer, NoKey, Refused

FIRST_WAIT = 1.0  # seconds; doubled from attempt to attempt
LONGEST_WAIT = 60.0
LONGEST_COMPLAINT = 200  # characters of an error's body in a message

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")


class Unreadable(Exception):
    """Says, in words that repeat, that a reply is no answer; the request is made again."""


class _Busy(Exception):
    def __init__(self, fault: str, asked_to_wait: float | None = None) -> None:
        super().__init__(fault)
        self.asked_to_wait = asked_to_wait  # seconds


class Endpoint:
    """A model behind an address."""

    def __init__(self, name: str, url: str, patience: Patience, requests_per_minute: float | None = None) -> None:
        """Nothing is asked yet.

        Args:
            name: of whoever asks, for messages.

        Raises:
            NoKey: the environment has none where one is named.
        """
        self.name, self.url, self.patience = name, url, patience
        self.sent = 0  # requests, repeated ones among them
        self.answered = 0
        self.headers: dict[str, str] = {}
        if patience.key_variable is not None:
            if not os.environ.get(patience.key_variable):
                raise NoKey(f"set the environment variable {patience.key_variable} to its key")
            self.headers["Authorization"] = f"Bearer {os.environ[patience.key_variable]}"
        self._own = threading.local()  # a session a thread: they keep connections open, and are not shared
        self._pace = _Pace(60.0 / requests_per_minute if requests_per_minute else 0.0)
        self._counting = threading.Lock()
        self._closed = threading.Event()

    def close(self) -> None:
        """Give up what waits for another attempt; what is under way ends by itself."""
        self._closed.set()

    def rest(self, seconds: float) -> None:
        """Wait.

        Raises:
            NoAnswer: it is closed meanwhile.
        """
        if self._closed.wait(seconds):
            raise NoAnswer("given up")

    def post(self, body: dict[str, Any], read: Callable[[bytes], Answer]) -> Answer:
        """What `read` makes of the reply; where it raises `Unreadable` the request is made again.

        Raises:
            NoAnswer: not within `attempts`. Refused: whatever is waited.
        """
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.patience.attempts),
            wait=_wait,
            retry=tenacity.retry_if_exception_type(_Busy),
            sleep=self.rest,
            before_sleep=self._tell,
            reraise=True,
        )
        try:
            answer: Answer = retrying(self._once, body, read)
            return answer
        except _Busy as busy:
            attempts = self.patience.attempts
            raise NoAnswer(f"{busy}, {attempts} time{'s' * (attempts > 1)}") from None

    def _once(self, body: dict[str, Any], read: Callable[[bytes], Answer]) -> Answer:
        if (seconds := self._pace.turn()) > 0:
            self.rest(seconds)
        with self._counting:
            self.sent += 1
        try:
            response = self._session.post(self.url, json=body, timeout=self.patience.seconds)
        except requests.Timeout:
            raise _Busy(f"no answer within {self.patience.seconds:g} s") from None
        except requests.ConnectionError:
            raise _Busy("can't be reached") from None
        except requests.RequestException as error:  # a reply that breaks off, or that nothing can unpack
            raise _Busy("an answer that is not whole") from error
        if response.status_code in (408, 409, 429) or response.status_code >= 500:
            asked = _asked_to_wait(response)
            if asked is not None:
                self._pace.hold_back(asked)
            raise _Busy(f"status {response.status_code}", asked)
        if not response.ok:
            raise Refused(response.status_code, " ".join(response.text[:LONGEST_COMPLAINT].split()))
        try:
            answer = read(response.content)
        except Unreadable as fault:
            raise _Busy(str(fault)) from fault
        with self._counting:
            self.answered += 1
        return answer

    @property
    def _session(self) -> requests.Session:
        if not hasattr(self._own, "session"):
            self._own.session = requests.Session()
            self._own.session.headers.update(self.headers)
        session: requests.Session = self._own.session
        return session

    def _tell(self, state: tenacity.RetryCallState) -> None:
        busy = _busy_in(state)
        seconds = _wait(state) if busy.asked_to_wait is None else busy.asked_to_wait
        log.info("%s: %s; asked again in %.1f s", self.name, busy, seconds)


class _Pace:
    """When the next request may be sent."""

    def __init__(self, between: float) -> None:
        self.between = between  # seconds
        self._next = 0.0
        self._changing = threading.Lock()

    def turn(self) -> float:
        """Take a turn; seconds until it comes."""
        with self._changing:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self.between
            return turn - now

    def hold_back(self, seconds: float) -> None:
        """Send nothing for a while."""
        with self._changing:
            self._next = max(self._next, time.monotonic() + seconds)


def _busy_in(state: tenacity.RetryCallState) -> _Busy:
    assert state.outcome is not None
    busy = state.outcome.exception()
    assert isinstance(busy, _Busy)
    return busy


def _wait(state: tenacity.RetryCallState) -> float:
    """Seconds before the next attempt; for as long as the endpoint asks, the pace holds every request back."""
    if _busy_in(state).asked_to_wait is not None:
        return 0.0
    return min(FIRST_WAIT * 2.0 ** (state.attempt_number - 1), LONGEST_WAIT)


def _asked_to_wait(response: requests.Response) -> float | None:
    """Seconds of a Retry-After header, which is a number or a date, within reason."""
    asked = response.headers.get("Retry-After", "")
    if asked.isdecimal():
        return min(float(asked), LONGEST_WAIT)
    until, now = parsedate_tz(asked), parsedate_tz(response.headers.get("Date", ""))
    if until is None or now is None:
        return None
    return min(max(0.0, float(mktime_tz(until) - mktime_tz(now))), LONGEST_WAIT)
