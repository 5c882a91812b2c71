"""The command itself on a small checkpoint: what the server gives is what the library gives."""

import base64
import io
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from tests.evaluate.conftest import SmallExperiment, small  # noqa: F401  a fixture
from tests.serve.running import RunningServer, assert_refused
from tests.serve.test_chat import GREY, data_url, question
from unix_lib.chat.assistant import Assistant, Message
from unix_lib.images.files import png_bytes
from unix_lib.inference.requests import TextSampling


@pytest.fixture(scope="module")
def assistant(small: SmallExperiment) -> Assistant:  # noqa: F811
    checkpoint, tokenizer = small.results / small.checkpoint, small.results / small.image_tokenizer
    return Assistant.open(checkpoint, image_tokenizer=tokenizer, device="cpu", slots=2)


@pytest.fixture(scope="module")
def real(small: SmallExperiment) -> Iterator[RunningServer]:  # noqa: F811
    given = [small.results / small.checkpoint, "--image-tokenizer", small.results / small.image_tokenizer]
    options = ["--name", "small", "--port", "0", "--slots", "2", "--device", "cpu"]
    command = [sys.executable, "-m", "unix_lib", "serve", *map(str, given), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        told = process.stdout.readline()
        address = re.search(r"http://[\d.:]+", told)
        assert address is not None and told.startswith("small at"), told
        yield RunningServer(address.group())
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0


def test_a_server_gives_what_the_library_gives(real: RunningServer, assistant: Assistant) -> None:
    options = {"temperature": 1.0, "top_k": 0, "guidance_scale": 2.0}
    drawn = real.draw("a red circle", n=3, seed=5, size="32x32", **options).json()
    expected = assistant.draw("a red circle", seed=6, **options)
    with Image.open(io.BytesIO(base64.b64decode(drawn["data"][1]["b64_json"]))) as image:
        assert (np.asarray(image) == np.asarray(expected)).all()
    assert drawn["usage"]["output_tokens"] == 3 * 64

    sampling = {"temperature": 1.0, "top_p": 0.9}
    square = GREY[:30]
    body = {"messages": question("what is it?", data_url(png_bytes(square))), "max_tokens": 10**6, "seed": 4}
    answer = real.post("chat/completions", body | sampling).json()
    request = assistant.chat_request(
        [Message("user", [square, "what is it?"])], text=TextSampling(most_tokens=10**3, **sampling), seed=4
    )
    assert answer["usage"]["prompt_tokens"] == len(request.prompt)
    said = assistant.chat([Message("user", [square, "what is it?"])], seed=4, most_tokens=20, **sampling)
    assert answer["choices"][0]["message"]["content"].startswith("".join(map(str, said)).rstrip("\ufffd"))
    assert_refused(
        real.post("chat/completions", {"messages": [{"role": "system", "content": "x"}]}), 400, "invalid_value"
    )
    assert real.health().status_code == 200
