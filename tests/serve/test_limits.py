"""Floods, bombs and slow clients meet limits before anything is decoded, and leave nothing behind."""

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import numpy as np
import pytest
import requests

from tests.images.pictures import png_that_claims
from tests.serve.conftest import LIMITS
from tests.serve.fake import POSITIONS, SIDE
from tests.serve.running import PATIENCE, RunningServer, assert_refused, running_server, wait_until
from tests.serve.test_chat import GREY, data_url, question
from unix_lib.images.files import png_bytes
from unix_lib.serve.settings import Limits

JSON = {"Content-Type": "application/json"}
URL = "messages[0].content[0].image_url.url"


def test_a_large_body_is_refused_by_its_header_or_while_it_arrives(server: RunningServer) -> None:
    assert_refused(server.chat("x" * LIMITS.body_bytes), 413, "request_too_large")
    chunks = (b"x" * 50_000 for _ in range(20))  # without a length
    address = f"{server.address}/v1/images/generations"
    assert_refused(requests.post(address, data=chunks, headers=JSON, timeout=PATIENCE), 413, "request_too_large")


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (400, 300), (2000, 1), (0, 5)])
def test_an_image_is_judged_by_its_header(server: RunningServer, width: int, height: int) -> None:
    bomb = data_url(png_that_claims(width, height))
    assert_refused(server.post("chat/completions", {"messages": question("x", bomb)}), 400, "invalid_image", URL)


def test_many_images_are_refused_before_one_is_read(server: RunningServer) -> None:
    urls = ["data:image/png;base64,!"] * (LIMITS.images + 1)
    assert_refused(
        server.post("chat/completions", {"messages": question("x", *urls)}), 400, "too_many_images", "messages"
    )


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/x.png", "file:///etc/passwd", "https://example.org/x.png", "ftp://[", ""]
)
def test_only_data_urls_are_read(server: RunningServer, url: str) -> None:
    refused = server.post("chat/completions", {"messages": question("x", url)})
    assert_refused(refused, 400, "image_address_not_allowed", URL)


def test_long_prompts_are_refused_at_once(server: RunningServer) -> None:
    for text in ("x" * POSITIONS, "x" * 250_000):
        assert_refused(server.chat(text), 400, "context_length_exceeded", "messages")
    assert_refused(server.draw("x" * (POSITIONS - SIDE * SIDE + 1)), 400, "context_length_exceeded", "prompt")
    images = question("x" * (POSITIONS - 2 * SIDE * SIDE), *[data_url(png_bytes(GREY))] * 2)
    assert_refused(server.post("chat/completions", {"messages": images}), 400, "context_length_exceeded", "messages")
    assert server.chat("x" * (POSITIONS - 20)).json()["choices"][0]["finish_reason"] == "length"


def test_a_flood_is_turned_away_at_the_door_and_the_rest_is_served(server: RunningServer) -> None:
    with ThreadPoolExecutor(60) as clients:
        answers = list(clients.map(lambda number: server.draw("slow cat", seed=number % 7), range(60)))
    served = [answer for answer in answers if answer.status_code == 200]
    turned_away = [answer for answer in answers if answer.status_code == 429]
    assert len(served) + len(turned_away) == 60 and len(served) >= LIMITS.queue and turned_away
    for answer in turned_away:
        assert_refused(answer, 429, "server_busy")
        assert int(answer.headers["Retry-After"]) > 0
    assert len({answer.json()["data"][0]["b64_json"] for answer in served}) <= 7


def test_bodies_and_pixels_are_held_up_to_a_limit() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (100, 100, 3), np.uint8)
    body = {"messages": question("slow " * 60, data_url(png_bytes(noise)))}
    size = len(json.dumps(body))
    with running_server(Limits(held_bytes=3 * size // 2)) as server, ThreadPoolExecutor(1) as client:
        first = client.submit(server.post, "chat/completions", body)
        wait_until(lambda: server.measured("request_bytes_held") >= size)
        assert_refused(server.post("chat/completions", body), 429, "server_busy")
        assert server.chat("hello").status_code == first.result().status_code == 200
        server.wait_until_idle()


def raw(server: RunningServer, *pieces: bytes) -> socket.socket:
    """A connection that has sent these."""
    address = urlsplit(server.address)
    connection = socket.create_connection((address.hostname, address.port), timeout=PATIENCE)
    for piece in pieces:
        connection.sendall(piece)
    return connection


def posted(path: str, body: bytes, length: int | None = None) -> bytes:
    head = f"POST /v1/{path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {length or len(body)}\r\n\r\n".encode() + body


def test_a_body_that_never_ends_is_given_up(server: RunningServer) -> None:
    with raw(server, posted("chat/completions", b"{", length=100)) as connection:
        assert b" 408 " in connection.recv(1000)


def test_a_request_has_a_deadline_its_wait_included() -> None:
    with running_server(Limits(seconds=0.3)) as server:
        clients = [threading.Thread(target=server.chat, args=("slow " * 60,)) for _ in range(4)]
        for client in clients:
            client.start()
        server.wait_for("num_requests_running", 4)
        assert_refused(server.chat("slow " * 60), 504, "deadline_exceeded")
        with requests.post(
            f"{server.address}/v1/chat/completions",
            json={"messages": question("slow " * 60), "stream": True},
            stream=True,
            timeout=PATIENCE,
        ) as stream:
            events = [line for line in stream.iter_lines() if line]
        assert stream.status_code == 200 and json.loads(events[-1][6:])["error"]["code"] == "deadline_exceeded"
        for client in clients:
            client.join()
        server.wait_until_idle()
        assert server.chat("hello").status_code == 200


def test_a_key_is_asked_for_before_a_body_is_read() -> None:
    with running_server(Limits(), key="sésame") as server:
        large = b"x" * 10
        for headers in ({}, {"Authorization": "Bearer open"}, {"Authorization": "Basic sésame".encode()}):
            address = f"{server.address}/v1/chat/completions"
            response = requests.post(address, data=large, headers=JSON | headers, timeout=PATIENCE)
            assert_refused(response, 401, "invalid_api_key")
        assert_refused(requests.get(f"{server.address}/v1/models", timeout=PATIENCE), 401, "invalid_api_key")
        right = {"Authorization": "Bearer sésame".encode()}
        assert server.post("chat/completions", {"messages": question("hello")}, headers=right).status_code == 200
        assert server.health().status_code == 200


def test_whoever_leaves_frees_what_was_made_for_them(server: RunningServer) -> None:
    before = [server.measured("request_success_total", reason) for reason in ("abort", "stop")]
    body = json.dumps({"messages": question("slow " * 100), "stream": True, "max_tokens": 10**5}).encode()
    for read_first in (True, False):  # in the middle of a stream, and perhaps while it waits for its first token
        for _ in range(3):
            with raw(server, posted("chat/completions", body)) as connection:
                if read_first:
                    assert b"200 OK" in connection.recv(1000)
    whole = json.dumps({"prompt": "slow cat", "n": 3}).encode()
    with raw(server, posted("images/generations", whole)):
        wait_until(lambda: server.measured("num_requests_running") >= 3)
    server.wait_until_idle()
    after = [server.measured("request_success_total", reason) for reason in ("abort", "stop")]
    assert after[0] - before[0] >= 6 and after[1] == before[1]


def test_who_reads_nothing_holds_nobody_up(server: RunningServer) -> None:
    body = json.dumps({"messages": question("slow " * 60), "stream": True, "n": 3}).encode()
    with raw(server, posted("chat/completions", body)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        server.wait_for("num_requests_running", 3)
        assert server.chat("hello").json()["choices"][0]["message"]["content"] == "You said: hello"
