"""Chats, through OpenAI's own client: what comes back, whole and in pieces."""

import base64
import io
import json

import numpy as np
import pytest
import requests
from PIL import Image

from tests.serve.fake import PIXELS, SIDE
from tests.serve.running import RunningServer
from unix_lib.images.files import png_bytes

GREY = np.full((40, 30, 3), 77, np.uint8)


def data_url(data: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def question(text: str, *urls: str) -> list[dict[str, object]]:
    images = [{"type": "image_url", "image_url": {"url": url, "detail": "low"}} for url in urls]
    return [{"role": "user", "content": [*images, {"type": "text", "text": text}]}]


def test_an_answer_has_its_text_its_end_and_its_tokens(server: RunningServer) -> None:
    answer = server.client.chat.completions.create(model="made-up", messages=question("hello"))
    choice = answer.choices[0]
    assert (choice.message.role, choice.message.content, choice.finish_reason) == (
        "assistant",
        "You said: hello",
        "stop",
    )
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (5, 16, 21)
    assert answer.model == "made-up" and answer.object == "chat.completion"


def test_a_short_limit_ends_an_answer_and_a_long_one_is_what_there_is_room_for(server: RunningServer) -> None:
    short, long = (server.chat("hello", max_completion_tokens=most).json()["choices"][0] for most in (3, 10**6))
    assert (short["message"]["content"], short["finish_reason"]) == ("You", "length")
    assert (long["message"]["content"], long["finish_reason"]) == ("You said: hello", "stop")


def test_a_stream_adds_up_to_the_whole_answer_and_cuts_no_character(server: RunningServer) -> None:
    text = "é 漢字 👩‍👩‍👧 ende"
    stream = server.client.chat.completions.create(
        model="made-up", messages=question(text), stream=True, stream_options={"include_usage": True}, n=2
    )
    chunks = list(stream)
    said = [chunk.choices[0].delta.content or "" for chunk in chunks[:-1] if chunk.choices[0].index == 1]
    assert "".join(said) == f"You said: {text}" and len(said) > 20 and "\ufffd" not in "".join(said)
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]].count("stop") == 2
    tokens = len(f"You said: {text}".encode()) + 1
    assert chunks[-1].usage.completion_tokens == 2 * tokens


@pytest.mark.parametrize(("stop", "rest"), [("said", "You"), (["zzz", " he", "o"], "Y"), (["loX"], "You said: hello")])
def test_an_answer_ends_before_a_stop(server: RunningServer, stop: str | list[str], rest: str) -> None:
    whole = server.client.chat.completions.create(model="made-up", messages=question("hello"), stop=stop)
    assert (whole.choices[0].message.content, whole.choices[0].finish_reason) == (rest, "stop")
    stream = server.client.chat.completions.create(model="made-up", messages=question("hello"), stop=stop, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream).strip() == rest


def test_images_are_seen_and_turns_joined(server: RunningServer) -> None:
    jpeg = io.BytesIO()
    Image.fromarray(GREY).save(jpeg, "JPEG")
    urls = data_url(png_bytes(GREY)), data_url(jpeg.getvalue(), "jpeg")
    turns = [
        {"role": "system", "content": "be brief. "},
        *question("which?", *urls),
        {"role": "assistant", "content": None},
    ]
    answer = server.client.chat.completions.create(model="made-up", messages=turns)
    assert answer.choices[0].message.content == "You said: be brief. which?"
    assert answer.usage.prompt_tokens == len("be brief. which?") + 2 * SIDE * SIDE


def test_images_are_drawn_where_they_are_asked_for_and_can_be_sent_back(server: RunningServer) -> None:
    asked = {"modalities": ["text", "image"], "seed": 5, "guidance_scale": 2.5}
    choice = server.chat("a cat", **asked).json()["choices"][0]
    assert choice["message"]["content"] == "You said: a cat"
    (image,) = choice["message"]["images"]
    with Image.open(io.BytesIO(base64.b64decode(image["image_url"]["url"].partition(",")[2]))) as opened:
        assert opened.size == (PIXELS, PIXELS)
    again = server.client.chat.completions.create(
        model="made-up", messages=question("a cat"), seed=5, stream=True, extra_body={**asked, "stream": True}
    )
    streamed = [piece for chunk in again for piece in getattr(chunk.choices[0].delta, "images", [])]
    assert streamed == [image]
    other = server.chat("a cat", **asked | {"guidance_scale": 3.0}).json()["choices"][0]["message"]["images"]
    assert other != [image]
    answer = server.post(
        "chat/completions", {"messages": [*question("a cat"), choice["message"], *question("more")]}
    ).json()
    assert answer["usage"]["prompt_tokens"] == len("a catYou said: a catmore") + SIDE * SIDE
    assert "images" not in answer["choices"][0]["message"]


def test_models_are_listed_and_named(server: RunningServer) -> None:
    assert [model.id for model in server.client.models.list()] == ["made-up"]
    assert server.client.models.retrieve("made-up").id == "made-up"


def test_a_post_of_vlmevalkits_shape_is_answered(server: RunningServer) -> None:
    """Its client checks with "hello" that a model works, then asks about images, and reads one string."""
    for content in ([{"type": "text", "text": "hello"}], question("which?", data_url(png_bytes(GREY)))[0]["content"]):
        messages = [{"role": "user", "content": content}]
        body = {"model": "made-up", "messages": messages, "max_tokens": 2048, "n": 1, "temperature": 0}
        headers = {"Content-Type": "application/json", "Authorization": "Bearer sk-none"}
        answer = requests.post(
            f"{server.address}/v1/chat/completions", data=json.dumps(body), headers=headers, timeout=9
        )
        assert answer.json()["choices"][0]["message"]["content"].strip().startswith("You said: ")


def test_metrics_have_vllms_names(server: RunningServer) -> None:
    names = ["prompt_tokens_total", "generation_tokens_total", "time_to_first_token_seconds_count"]
    names += ["e2e_request_latency_seconds_count", "request_success_total"]
    before = [server.measured(name) for name in names]
    server.chat("hello", n=2)
    assert [server.measured(name) - earlier for name, earlier in zip(names, before, strict=True)] == [10, 32, 1, 1, 2]
    assert server.measured("workers_alive") == 2 and 0 <= server.measured("kv_cache_usage_perc") <= 1
