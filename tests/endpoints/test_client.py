"""Patience with an endpoint: what is asked again, after how long, how many at once and how often."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate

import pytest

from tests.endpoints.fake import Body, Reply, completion, endpoint
from unix_lib.config.endpoints import Patience
from unix_lib.endpoints.client import Endpoint, Unreadable
from unix_lib.endpoints.errors import NoAnswer, NoKey, Refused

GOOD = completion("good")


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long a client would have waited; what it holds back for is over at once."""
    waited: list[float] = []
    monkeypatch.setattr(Endpoint, "rest", lambda _, seconds: waited.append(round(seconds, 1)))
    return waited


def post(replies: list[Reply | None], attempts: int = 6) -> int:
    """Post until there is an answer; returns how often it was asked."""
    left = list(replies)
    with endpoint(lambda body: left.pop(0) if left else GOOD) as server:
        client = Endpoint("some", server.url, Patience(attempts=attempts))
        try:
            assert client.post({"a": 1}, lambda reply: reply) == GOOD.text.encode()
        finally:
            assert client.sent == len(server.seen)
        assert client.answered == 1
        return len(server.seen)


def test_what_may_pass_is_asked_again_after_longer_and_longer_waits(waits: list[float]) -> None:
    faults = [Reply(503), Reply(429), None, Reply(500), Reply(408), Reply(409), Reply(text=GOOD.text, cut=9)]
    assert post(faults, attempts=8) == 8
    assert [wait for wait in waits if wait] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0]


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "4000"}, 60.0),
        ({"Retry-After": formatdate(1000 + 7, usegmt=True), "Date": formatdate(1000, usegmt=True)}, 7.0),
        ({"Retry-After": "soon"}, 1.0),
    ],
)
def test_it_is_left_alone_for_as_long_as_it_asks(asked: dict[str, str], seconds: float, waits: list[float]) -> None:
    assert post([Reply(429, "", asked)]) == 2
    assert [wait for wait in waits if wait] == [seconds]


def test_a_reply_that_is_no_answer_is_asked_for_again(waits: list[float]) -> None:
    def read(reply: bytes) -> bytes:
        if b"good" not in reply:
            raise Unreadable("not good")
        return reply

    replies = [Reply(text="bad"), GOOD]
    with endpoint(lambda body: replies.pop(0)) as server:
        assert b"good" in Endpoint("some", server.url, Patience()).post({}, read)
    with endpoint(lambda body: Reply(text="bad")) as server, pytest.raises(NoAnswer, match=r"^not good, 2 times$"):
        Endpoint("some", server.url, Patience(attempts=2)).post({}, read)


def test_patience_ends(waits: list[float]) -> None:
    with pytest.raises(NoAnswer, match=r"^status 503, 3 times$"):
        post([Reply(503)] * 9, attempts=3)
    with endpoint(lambda body: time.sleep(0.5)) as server:
        client = Endpoint("some", server.url, Patience(attempts=1, seconds=0.05))
        with pytest.raises(NoAnswer, match=r"^no answer within 0\.05 s, 1 time$"):
            client.post({}, lambda reply: reply)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_what_patience_does_not_mend_is_said_at_once(status: int, waits: list[float]) -> None:
    with pytest.raises(Refused, match=rf"^refused with status {status} \(no such model\)$"):
        post([Reply(status, "no such\n model")])
    assert waits == []


def test_a_key_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    with pytest.raises(NoKey, match=r"^set the environment variable SOME_KEY to its key$"):
        Endpoint("some", "http://localhost/", Patience(key_variable="SOME_KEY"))


def test_requests_keep_their_pace_over_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(Endpoint, "rest", lambda _, seconds: waited.append(seconds))
    with endpoint(lambda body: GOOD) as server, ThreadPoolExecutor(4) as pool:
        client = Endpoint("some", server.url, Patience(), requests_per_minute=60 / 1000)
        list(pool.map(lambda number: client.post({"n": number}, lambda reply: reply), range(6)))
    assert sorted(round(seconds / 1000) for seconds in waited) == [1, 2, 3, 4, 5]  # the first waits for nothing


def test_closing_gives_up_what_waits() -> None:
    asked = threading.Event()

    def busy(body: Body) -> Reply:
        asked.set()
        return Reply(429, "", {"Retry-After": "60"})

    with endpoint(busy) as server, ThreadPoolExecutor(1) as pool:
        client = Endpoint("some", server.url, Patience())
        waiting = pool.submit(client.post, {}, lambda reply: reply)
        assert asked.wait(60)
        client.close()
        with pytest.raises(NoAnswer, match="given up"):
            waiting.result(timeout=60)
        assert len(server.seen) == 1
