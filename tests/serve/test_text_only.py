"""A checkpoint that saw no images: chats are answered, what has to do with images is refused, and models says so."""

import sys

from tests.serve.running import RunningServer, assert_refused, running_server
from tests.serve.test_chat import GREY, data_url, question
from unix_lib.images.files import png_bytes
from unix_lib.serve.settings import Limits


def test_texts_are_answered_and_images_refused(server: RunningServer) -> None:
    with running_server(Limits(), command=(sys.executable, "-m", "tests.serve.fake", "text-only")) as bare:
        assert bare.chat("hello").json()["choices"][0]["message"]["content"] == "You said: hello"
        assert_refused(bare.draw("a cat"), 400, "unsupported_model")
        assert_refused(bare.chat("a cat", modalities=["text", "image"]), 400, "unsupported_model", "modalities")
        shown = {"messages": question("what is it?", data_url(png_bytes(GREY)))}
        place = "messages[0].content[0].image_url.url"
        assert_refused(bare.post("chat/completions", shown), 400, "unsupported_parameter", place)
        (model,) = bare.client.models.list().data
        assert model.model_extra is not None and model.model_extra["output_modalities"] == ["text"]
    (model,) = server.client.models.list().data
    assert model.model_extra is not None and model.model_extra["input_modalities"] == ["text", "image"]
