"""What can't be honoured is refused in OpenAI's form, with the place of the fault and nothing of what was sent."""

import json
from typing import Any

import pytest
import requests

from tests.serve.running import PATIENCE, RunningServer, assert_refused
from tests.serve.test_chat import data_url, question

SECRET = "c2VjcmV0" * 40
HELLO = {"messages": [{"role": "user", "content": "hello"}]}
DEEP = "[" * 100_000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"hello"',
        b"\xff\xfe",
        b'{"messages": NaN}',
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        DEEP.encode(),
        b'{"messages": ' + DEEP.encode(),
        b'{"seed": 1' + b"0" * 10_000 + b', "messages": [{"role": "user", "content": "x"}]}',
        b'{"messages": [{"role": "user", "content": "x"}], "temperature": 1e999}',
        b"<html>",
        b"{} {}",
        json.dumps(HELLO).encode("utf-16"),
    ],
    ids=range(15),
)
@pytest.mark.parametrize("path", ["chat/completions", "images/generations"])
def test_bad_json_of_any_kind_is_the_clients_fault(server: RunningServer, path: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    response = requests.post(f"{server.address}/v1/{path}", data=body, headers=headers, timeout=PATIENCE)
    error = response.json()["error"]
    assert response.status_code == 400 and error["type"] == "invalid_request_error" and len(error["message"]) < 300


@pytest.mark.parametrize(
    ("more", "code", "param"),
    [
        ({"messages": []}, "invalid_value", "messages"),
        ({"messages": None}, "invalid_value", "messages"),
        ({"messages": [{"role": "user", "content": "  "}]}, "invalid_value", "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "invalid_value", "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "invalid_value", "messages[0].content"),
        ({"messages": [{"content": "x"}]}, "missing_required_parameter", "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "audio"}]}]}, "invalid_value", "messages[0].content[0]"),
        ({"messages": question("x", "data:text/plain,x")}, "invalid_image", "messages[0].content[0].image_url.url"),
        ({"messages": question("x", data_url(b"GIF"))}, "invalid_image", "messages[0].content[0].image_url.url"),
        (
            {"messages": question("x", f"data:image/png;base64,!{SECRET}")},
            "invalid_image",
            "messages[0].content[0].image_url.url",
        ),
        ({"temperature": -1}, "invalid_value", "temperature"),
        ({"temperature": "1"}, "invalid_value", "temperature"),
        ({"top_p": 0}, "invalid_value", "top_p"),
        ({"seed": 2**64}, "invalid_value", "seed"),
        ({"seed": True}, "invalid_value", "seed"),
        ({"n": 0}, "invalid_value", "n"),
        ({"n": 4}, "invalid_value", "n"),
        ({"max_tokens": 0}, "invalid_value", "max_tokens"),
        ({"stop": [""]}, "invalid_value", "stop"),
        ({"stop": list("abcde")}, "invalid_value", "stop"),
        ({"modalities": ["audio"]}, "invalid_value", "modalities[0]"),
        ({"tools": [{"type": "function"}]}, "unsupported_parameter", None),
        ({"logprobs": True}, "unsupported_parameter", None),
        ({"response_format": {"type": "json_object"}}, "unsupported_parameter", None),
    ],
)
def test_chats_that_are_refused(server: RunningServer, more: dict[str, Any], code: str, param: str | None) -> None:
    response = server.post("chat/completions", HELLO | more)
    assert_refused(response, 400, code, param)
    assert SECRET not in response.text


@pytest.mark.parametrize(
    ("more", "code", "param"),
    [
        ({"prompt": ""}, "invalid_value", "prompt"),
        ({"prompt": " \n"}, "invalid_value", "prompt"),
        ({"prompt": None}, "invalid_value", "prompt"),
        ({"size": "1024x1024"}, "invalid_value", "size"),
        ({"size": "32x33"}, "invalid_value", "size"),
        ({"n": 4}, "invalid_value", "n"),
        ({"partial_images": 4, "stream": True}, "invalid_value", "partial_images"),
        ({"output_format": "tiff"}, "invalid_value", "output_format"),
        ({"guidance_scale": -1}, "invalid_value", "guidance_scale"),
        ({"response_format": "url"}, "unsupported_parameter", None),
        ({"background": "transparent"}, "unsupported_parameter", None),
        ({"negative_prompt": "blue"}, "unsupported_parameter", None),
    ],
)
def test_images_that_are_refused(server: RunningServer, more: dict[str, Any], code: str, param: str | None) -> None:
    assert_refused(server.post("images/generations", {"prompt": "a cat"} | more), 400, code, param)


def test_what_asks_for_nothing_or_is_unknown_is_passed_over(server: RunningServer) -> None:
    harmless = {"tools": [], "logprobs": False, "presence_penalty": 0.0, "user": "me", "made_up": {"x": 1}}
    assert server.chat("hello", **harmless).status_code == 200
    assert server.draw("a cat", response_format="b64_json", quality="high", size="auto", style=None).status_code == 200


def test_other_models_addresses_methods_and_types_of_bodies(server: RunningServer) -> None:
    assert_refused(server.chat("hello", model="gpt"), 404, "model_not_found", "model")
    assert_refused(requests.get(f"{server.address}/v1/models/x", timeout=PATIENCE), 404, "model_not_found", "model")
    assert_refused(server.post("completions", {}), 404, "unknown_url")
    assert_refused(requests.get(f"{server.address}/v1/chat/completions", timeout=PATIENCE), 405, "unknown_url")
    plain = requests.post(f"{server.address}/v1/chat/completions", data=json.dumps(HELLO), timeout=PATIENCE)
    assert_refused(plain, 415, "unsupported_media_type")
    form = requests.post(f"{server.address}/v1/images/generations", files={"image": b"x"}, timeout=PATIENCE)
    assert_refused(form, 415, "unsupported_media_type")
