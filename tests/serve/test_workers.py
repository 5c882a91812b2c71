"""Workers that die, break or hang: their answers end at once, the others' go on, and they are started again."""

import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from openai import APIError

from tests.serve.running import RunningServer, assert_refused, running_server, wait_until
from tests.serve.test_chat import question
from unix_lib.serve.settings import Limits, ServeError


def wait_until_well(server: RunningServer) -> None:
    wait_until(lambda: server.health().status_code == 200)


@pytest.mark.parametrize("fault", ["die", "break"])
def test_a_worker_that_dies_ends_its_answers_and_no_others(server: RunningServer, fault: str) -> None:
    wait_until_well(server)
    restarts = sum(worker["restarts"] for worker in server.health().json()["workers"])
    with ThreadPoolExecutor(6) as clients:
        others = [clients.submit(server.draw, "slow cat", seed=number) for number in range(6)]
        server.wait_for("num_requests_running", 6)
        assert_refused(server.draw(fault), 503, "worker_died")
        assert server.health().status_code == 503
        answers = [other.result() for other in others]
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(200) == 3 and statuses.count(503) == 3
    assert server.chat("hello").status_code == 200
    wait_until_well(server)
    assert sum(worker["restarts"] for worker in server.health().json()["workers"]) == restarts + 1


def test_a_stream_of_a_dead_worker_ends_in_an_error(server: RunningServer) -> None:
    wait_until_well(server)
    stream = server.client.chat.completions.create(model="made-up", messages=question("slow cat"), stream=True)
    next(stream)
    for _ in range(2):  # one for each worker
        threading.Thread(target=server.draw, args=("die",)).start()
    with pytest.raises(APIError, match="worker"):
        list(stream)
    wait_until_well(server)


def test_a_request_that_fails_fails_alone(server: RunningServer) -> None:
    wait_until_well(server)
    assert_refused(server.draw("odd cat"), 500, "internal_error")
    assert server.health().status_code == 200


def test_a_worker_that_hangs_is_started_again() -> None:
    with running_server(Limits(silent_seconds=0.8)) as server:
        assert_refused(server.draw("hang"), 503, "worker_died")
        assert server.chat("hello").status_code == 200


def test_a_worker_that_can_not_start_is_an_error_of_the_server() -> None:
    command = (sys.executable, "-c", "raise SystemExit(7)")
    with pytest.raises(ServeError, match="exit status 7"), running_server(Limits(), command=command):
        raise AssertionError("it started")


def test_an_address_that_is_taken_is_said_before_anything_starts(server: RunningServer) -> None:
    port = int(server.address.rpartition(":")[2])
    with pytest.raises(ServeError, match=f"{port}: can't be listened at"), running_server(Limits(), port=port):
        raise AssertionError("it started")


def test_logs_hold_nothing_of_what_is_sent(server: RunningServer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        for prompt in ("c2VjcmV0", "odd c2VjcmV0", "die c2VjcmV0"):
            server.draw(prompt)
        server.post("chat/completions", {"messages": question("x", "data:image/png;base64,c2VjcmV0")})
        requests.post(f"{server.address}/v1/chat/completions", data="c2VjcmV0", timeout=5)
        wait_until_well(server)
    assert "/v1/images/generations" in caplog.text and "c2VjcmV0" not in caplog.text
