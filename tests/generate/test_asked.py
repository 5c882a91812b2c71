"""What is sent to an endpoint of an image, and what counts as an answer of it."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from unix_lib.endpoints.client import Unreadable
from unix_lib.generate.asked import data_url, image_in, words_in
from unix_lib.images.files import BadImage

PIXELS = np.arange(16 * 8 * 3, dtype=np.uint8).reshape(16, 8, 3)


def file_of(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, format=kind)
    return buffer.getvalue()


def drawn(text: str) -> bytes:
    return json.dumps({"data": [{"b64_json": text}]}).encode()


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "gif", "bmp"])
def test_an_image_is_sent_as_it_is(kind: str) -> None:
    head, _, payload = data_url(file_of(kind)).partition(",")
    assert head == f"data:image/{kind};base64" and base64.b64decode(payload) == file_of(kind)


@pytest.mark.parametrize("data", [b"", b"text", file_of("png")[:60], file_of("jpeg")[:-200]])
def test_what_is_no_image_is_not_sent(data: bytes) -> None:
    with pytest.raises(BadImage):
        data_url(data)


def test_an_image_that_comes_is_a_png() -> None:
    png = base64.b64encode(file_of("png")).decode()
    assert image_in(drawn(png)) == png
    other = base64.b64decode(image_in(drawn(base64.b64encode(file_of("bmp")).decode())))
    assert other.startswith(b"\x89PNG") and np.array_equal(np.asarray(Image.open(io.BytesIO(other))), PIXELS)


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"[]",
        b'{"data": []}',
        drawn("!"),
        drawn(""),
        drawn(base64.b64encode(b"text").decode()),
        b'{"data": [{"url": "a"}]}',
    ],
)
def test_what_is_no_image_is_no_answer(reply: bytes) -> None:
    with pytest.raises(Unreadable, match="an answer without an image"):
        image_in(reply)


def test_words_are_words() -> None:
    def chat(content: object) -> bytes:
        return json.dumps({"choices": [{"message": {"content": content}}]}).encode()

    assert words_in(chat(" Yes.\n")) == "Yes." and words_in(chat("")) == ""
    for content in (None, 3, ["Yes"], "half of \ud83d"):
        with pytest.raises(Unreadable):
            words_in(chat(content))
