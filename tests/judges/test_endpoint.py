"""A judge at an address, which here is a server of the test's own: answers, patience and refusals."""

import base64
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.endpoints import fake
from tests.endpoints.fake import Reply, completion
from tests.evaluate.small import SmallExperiment
from tests.judges.program import objects_in
from unix_lib.endpoints import client
from unix_lib.evaluate.fitness import heldout_scenes
from unix_lib.judges.detector import Detector
from unix_lib.judges.endpoint import EndpointJudge
from unix_lib.judges.endpoint_runner import EndpointRunner
from unix_lib.judges.judge import JudgeError, as_configured

IMAGES = np.full((2, 32, 32, 3), 200, dtype=np.uint8)


class Endpoint(ThreadingHTTPServer):
    """Answers as a judge does; `faults` come first: (status, headers, body), or None to hang up."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults: list[tuple[int, dict[str, str], str] | None] = []
        self.seen: list[dict[str, Any]] = []
        self.keys: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/chat/completions"


class Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append(body)
        self.server.keys.append(self.headers.get("Authorization"))
        if self.server.faults:
            fault = self.server.faults.pop(0)
            if fault is not None:
                self._send(*fault)
            return
        if "messages" in body:
            content = body["messages"][0]["content"]
            if isinstance(content, str):
                said = content.upper()
            else:
                image, text = content
                said = f"{text['text']} {len(image_in(image['image_url']['url'].partition(',')[2]))} px"
            reply: Any = {"choices": [{"message": {"role": "assistant", "content": said}}]}
        else:
            reply = {"objects": objects_in(image_in(body["image"]))}
        self._send(200, {}, json.dumps(reply))

    def _send(self, status: int, headers: dict[str, str], text: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        """Not onto the test's screen."""


def image_in(text: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    server = Endpoint()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the judge would have waited between attempts."""
    waited: list[float] = []
    monkeypatch.setattr(client.Endpoint, "rest", lambda _, seconds: waited.append(round(seconds, 1)))
    return waited


def judge(url: str, **settings: Any) -> EndpointRunner:
    return EndpointRunner(EndpointJudge(kind="endpoint", url=url, model="judge-7b-2026", **settings), 32)


def test_objects_are_those_of_the_detector_behind_it(endpoint: Endpoint, small: SmallExperiment) -> None:
    _, images = heldout_scenes(small.results / small.shapes, 32)
    assert judge(endpoint.url).objects(images) == Detector.for_scenes(32).objects(images)
    assert {body["question"] for body in endpoint.seen} == {"objects"}


def test_a_question_is_a_chat_completion_with_the_image(endpoint: Endpoint) -> None:
    assert judge(endpoint.url).answer(IMAGES, ["Is it red?", "Why?"]) == ["Is it red? 32 px", "Why? 32 px"]
    first = endpoint.seen[0]
    assert (first["model"], first["temperature"]) == ("judge-7b-2026", 0)
    assert first["messages"][0]["content"][0]["image_url"]["url"].startswith("data:image/png;base64,")
    assert endpoint.keys == [None, None]


def test_as_many_requests_are_under_way_as_the_config_says_and_answers_keep_their_order() -> None:
    together = threading.Barrier(4, timeout=30)

    def answer(body: dict[str, Any]) -> Reply:
        together.wait()
        return completion(body["messages"][0]["content"][1]["text"].upper())

    with fake.endpoint(answer) as server:
        judge = EndpointJudge(kind="endpoint", url=server.url, model="some", concurrency=4)
        questions = [f"is it {number}?" for number in range(8)]
        answers = EndpointRunner(judge, 32).answer(np.repeat(IMAGES, 4, axis=0), questions)
    assert answers == [question.upper() for question in questions]
    assert server.most_at_once == 4
    # A recipe doesn't hold it: it changes no verdict.
    of_recipe = EndpointJudge.model_validate(judge.semantic())
    assert (of_recipe.at_once, as_configured(of_recipe, {"mine": judge}).at_once) == (1, 4)


def test_words_are_asked_about_without_an_image(endpoint: Endpoint) -> None:
    assert judge(endpoint.url).reply(["is it red?", "why?"]) == ["IS IT RED?", "WHY?"]
    assert endpoint.seen[1] == {
        "model": "judge-7b-2026",
        "temperature": 0,
        "messages": [{"role": "user", "content": "why?"}],
    }


def test_the_key_comes_from_the_environment(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "secret")
    named = judge(endpoint.url, key_variable="JUDGE_KEY")
    named.answer(IMAGES[:1], ["?"])
    assert endpoint.keys == ["Bearer secret"]
    assert "key_variable" not in named.settings.semantic()
    monkeypatch.delenv("JUDGE_KEY")
    with pytest.raises(JudgeError, match="set the environment variable JUDGE_KEY"):
        judge(endpoint.url, key_variable="JUDGE_KEY")


def test_a_busy_endpoint_is_asked_again_after_longer_and_longer_waits(endpoint: Endpoint, waits: list[float]) -> None:
    endpoint.faults = [(503, {}, ""), (429, {}, ""), None, (500, {}, "")]
    assert judge(endpoint.url).answer(IMAGES[:1], ["?"]) == ["? 32 px"]
    assert waits == [1.0, 2.0, 4.0, 8.0]


def test_it_is_left_alone_for_as_long_as_it_asks(endpoint: Endpoint, waits: list[float]) -> None:
    endpoint.faults = [(429, {"Retry-After": "7"}, ""), (429, {"Retry-After": "4000"}, "")]
    judge(endpoint.url).answer(IMAGES[:1], ["?"])
    assert [wait for wait in waits if wait] == [7.0, 60.0]


def test_patience_ends(endpoint: Endpoint, waits: list[float]) -> None:
    endpoint.faults = [(503, {}, "")] * 3
    with pytest.raises(JudgeError, match="status 503, 3 times; run again when it is there"):
        judge(endpoint.url, attempts=3).answer(IMAGES[:1], ["?"])
    assert len(endpoint.seen) == 3
    assert waits == [1.0, 2.0]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ((401, {}, "no key"), r"refused with status 401 \(no key\); correct the judge"),
        ((200, {}, "<html>"), "answered '<html>', expected JSON"),
        ((200, {}, '{"choices": []}'), "expected a chat completion"),
        ((200, {}, '{"choices": [{"message": {"content": null}}]}'), "expected a chat completion"),
    ],
)
def test_what_patience_does_not_mend_is_said_at_once(
    endpoint: Endpoint, fault: tuple[int, dict[str, str], str], message: str
) -> None:
    endpoint.faults = [fault]
    with pytest.raises(JudgeError, match=message):
        judge(endpoint.url).answer(IMAGES[:1], ["?"])
    assert len(endpoint.seen) == 1


def test_objects_in_another_form_are_refused(endpoint: Endpoint) -> None:
    good = {"class": "dog", "box": [0, 0, 4, 4], "confidence": 0.5}
    for bad in (
        {"box": [0, 0, 4]},
        {"box": [4, 0, 0, 4]},
        {"box": [0, 0, float("nan"), 4]},
        {"confidence": 1.5},
        {"class": ""},
        {"color": None},
        {"box": "abcd"},
    ):
        endpoint.faults = [(200, {}, json.dumps({"objects": [good, good | bad]}))]
        with pytest.raises(JudgeError, match="expected"):
            judge(endpoint.url).objects(IMAGES[:1])
    endpoint.faults = [(200, {}, json.dumps({"objects": [good]}))]
    ((found,),) = judge(endpoint.url).objects(IMAGES[:1])
    assert str(found) == "dog at (2, 2), confidence 0.50"


def test_an_address_where_nobody_is(endpoint: Endpoint) -> None:
    url = endpoint.url
    endpoint.shutdown()
    endpoint.server_close()
    with pytest.raises(JudgeError, match="can't be reached, 2 times"):
        judge(url, attempts=2).answer(IMAGES[:1], ["?"])
