"""Images from addresses: of allowed domains alone, whatever an address looks like, and never by a redirect."""

import asyncio
import io
from typing import Any

import numpy as np
import pytest
import requests

from tests.serve.test_chat import GREY
from unix_lib.images.files import png_bytes
from unix_lib.serve.errors import ApiError
from unix_lib.serve.given_images import GivenImages
from unix_lib.serve.limits import Held, Share
from unix_lib.serve.settings import Limits


class Answer:
    """What a web server says."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status_code, self.raw = status, self
        self._body = io.BytesIO(body)

    def read(self, count: int, decode_content: bool) -> bytes:
        return self._body.read(count)

    def __enter__(self) -> "Answer":
        return self

    def __exit__(self, *_: object) -> None:
        pass


def read(url: str, answer: Answer, monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray | str | None, list[str]]:
    """Pixels, or the error's code, and what was fetched."""
    fetched: list[str] = []

    def get(address: str, *, allow_redirects: bool, **_: Any) -> Answer:
        assert not allow_redirects
        fetched.append(address)
        return answer

    monkeypatch.setattr(requests, "get", get)
    images = GivenImages(16, ("example.org",), Limits(body_bytes=10_000))
    with Share(Held(10**6)) as share:
        try:
            return asyncio.run(images.read(url, "url", share)), fetched
        except ApiError as error:
            return error.code, fetched


def test_an_allowed_domain_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, fetched = read("https://example.org/a.png", Answer(200, png_bytes(GREY)), monkeypatch)
    assert isinstance(pixels, np.ndarray) and pixels.shape == (16, 16, 3) and (pixels == 77).all()
    assert fetched == ["https://example.org/a.png"]


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/a.png",
        "https://example.org:8443/a.png",
        "https://www.example.org/a.png",
        "https://example.org.evil.net/a.png",
        "https://example.org@127.0.0.1/a.png",
        "https://127.0.0.1/a.png",
        "https://[::1]/a.png",
        "https://example.org:99999/a.png",
        "//example.org/a.png",
    ],
)
def test_no_other_address_is(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(url, Answer(200, png_bytes(GREY)), monkeypatch) == ("image_address_not_allowed", [])


@pytest.mark.parametrize("answer", [Answer(302, b""), Answer(404, b"no"), Answer(200, b"x" * 20_000)])
def test_redirects_and_large_files_are_no_images(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    code, fetched = read("https://example.org/a.png", answer, monkeypatch)
    assert code == "image_not_fetched" and len(fetched) == 1
