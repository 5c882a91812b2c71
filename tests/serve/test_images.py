"""Images from prompts, through OpenAI's own client: seeds, formats, and the rows drawn so far."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tests.serve.fake import PIXELS, SIDE
from tests.serve.running import RunningServer


def pixels(encoded: str) -> np.ndarray:
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as image:
        return np.asarray(image.convert("RGB"))


def test_the_same_seed_gives_the_same_bytes_and_seeds_count_up(server: RunningServer) -> None:
    size = f"{PIXELS}x{PIXELS}"
    both = server.client.images.generate(prompt="a cat", n=2, size=size, extra_body={"seed": 7})
    second, guided = (
        server.client.images.generate(prompt="a cat", extra_body=more)
        for more in ({"seed": 8}, {"seed": 8, "guidance_scale": 1.5})
    )
    assert both.data[1].b64_json == second.data[0].b64_json != both.data[0].b64_json
    assert guided.data[0].b64_json != second.data[0].b64_json
    assert pixels(second.data[0].b64_json).shape == (PIXELS, PIXELS, 3)
    assert (both.size, both.output_format, both.background) == (size, "png", "opaque")
    assert (both.usage.input_tokens, both.usage.input_tokens_details.text_tokens) == (6, 6)
    assert (both.usage.output_tokens, both.usage.total_tokens) == (2 * SIDE * SIDE, 2 * SIDE * SIDE + 6)


def test_without_a_seed_images_differ(server: RunningServer) -> None:
    first, second = (server.draw("a cat").json()["data"] for _ in range(2))
    assert first != second


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
def test_files_have_the_format_that_is_asked_for(server: RunningServer, form: str) -> None:
    answer = server.draw("a cat", output_format=form).json()
    with Image.open(io.BytesIO(base64.b64decode(answer["data"][0]["b64_json"]))) as image:
        assert image.format == form.upper() and answer["output_format"] == form


@pytest.mark.parametrize("partials", [0, 1, 3])
def test_a_stream_shows_the_rows_drawn_so_far(server: RunningServer, partials: int) -> None:
    events = list(
        server.client.images.generate(prompt="a cat", stream=True, partial_images=partials, extra_body={"seed": 3})
    )
    *parts, last = events
    assert [event.type for event in parts] == ["image_generation.partial_image"] * partials
    assert [event.partial_image_index for event in parts] == list(range(partials))
    assert last.type == "image_generation.completed" and last.usage.output_tokens == SIDE * SIDE
    whole = pixels(last.b64_json)
    assert last.b64_json == server.draw("a cat", seed=3).json()["data"][0]["b64_json"]
    for number, event in enumerate(parts):
        drawn = PIXELS * (number + 1) // (partials + 1)
        assert (pixels(event.b64_json)[:drawn] == whole[:drawn]).all()
        assert (pixels(event.b64_json)[drawn:] == 255).all()
