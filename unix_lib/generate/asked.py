"""Lets a model behind an OpenAI-compatible endpoint answer a benchmark: questions as chats, prompts as images."""

import base64
import io
import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from unix_lib.artefacts.manifest import Manifest
from unix_lib.benchmarks.question_files import Question
from unix_lib.benchmarks.settings import AnswerSettings, ImageSettings
from unix_lib.benchmarks.tables import ANSWERS, ANSWERS_FILE, IMAGES, IMAGES_FILE
from unix_lib.config.generate import ImageSampling
from unix_lib.endpoints.client import Unreadable
from unix_lib.generate.asked_model import REFUSED, AskedModel
from unix_lib.generate.members import finish
from unix_lib.generate.question_prompts import question_pixels, question_prompt
from unix_lib.images.files import (
    DECODING_ERRORS,
    MAX_ASPECT_RATIO,
    MAX_PIXELS,
    BadImage,
    check_header,
    png_bytes,
    read_image,
    upright_rgb,
)
from unix_lib.jobs.job import Job
from unix_lib.records.lines import BadLine, fault_of, text_of, value_of
from unix_lib.records.rejected import RejectedSamples
from unix_lib.records.schema import Row
from unix_lib.translate.translator import answer_in

PROBED_SIZE = 8  # pixels to which an image is decoded, only to see that it can be
MOST_SEEDS = 2**63  # that fit a client's integer
# The first bytes of a file, and its MIME type.
TYPES = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif", b"RIFF": "webp", b"BM": "bmp"}

log = logging.getLogger(__name__)


def ask_questions(job: Job[AnswerSettings, Any], questions: Sequence[Question]) -> Manifest:
    """Ask questions about images, which are sent as the data set has them.

    Raises:
        BenchmarkError: no endpoint there, or questions without an answer; the others are kept.
    """
    model, settings = AskedModel(job), job.settings
    prompts = [question_prompt(question, settings.question_suffix) for question in questions]

    def body(question: Question, prompt: str) -> dict[str, Any]:
        content = [
            {"type": "image_url", "image_url": {"url": data_url(question.image_bytes)}},
            {"type": "text", "text": prompt},
        ]
        messages = [{"role": "user", "content": content}]
        return {"temperature": 0, "max_tokens": settings.max_answer_tokens, "messages": messages}

    bodies = {
        question.index: partial(body, question, prompt) for question, prompt in zip(questions, prompts, strict=True)
    }
    answers = model.ask("/chat/completions", bodies, words_in)
    rows: list[Row] = []
    for question, prompt in zip(questions, prompts, strict=True):
        answer = answers[question.index]
        aside = answer if isinstance(answer, BadImage) else None
        rows.append(
            {
                "sample_id": question.index,
                "prompt": prompt,
                "text": answer if isinstance(answer, str) else "",
                "rejected": aside and aside.reason,
                "detail": aside and aside.detail,
            }
        )
    return finish(job, model, ANSWERS_FILE, pa.Table.from_pylist(rows, ANSWERS))


def ask_for_images(job: Job[ImageSettings, Any], wanted: Sequence[Row]) -> Manifest:
    """Ask for images of prompts; `wanted` are rows of `IMAGES` without them.

    One that the endpoint refuses is missing: scoring counts it as the benchmark's own rules count such images.

    Raises:
        BenchmarkError: no endpoint there, or one that refuses all or answers not at all; what it gave is kept.
    """
    model, sampling = AskedModel(job), job.settings.image_sampling.narrowed(ImageSampling).model_dump()
    rows = [row | {"seed": row["seed"] % MOST_SEEDS} for row in wanted]

    def body(row: Row) -> dict[str, Any]:
        told = sampling | {"seed": row["seed"]} if model.settings.tells_sampling else {}
        return {"prompt": row["prompt"], "n": 1, "response_format": "b64_json"} | told

    bodies = {name_of(row): partial(body, row) for row in rows}
    drawn = model.ask("/images/generations", bodies, image_in)
    images: list[Row] = []
    rejected = RejectedSamples()
    for row in rows:
        image = drawn[name_of(row)]
        if isinstance(image, BadImage):
            rejected.add(name_of(row), job.recipe.name, image.reason, image.detail)
        else:
            images.append(row | {"image": base64.b64decode(image)})
    if rejected:
        log.warning("%s: %d of %d images %s, so they are missing", job.recipe.name, len(rejected), len(rows), REFUSED)
    return finish(job, model, IMAGES_FILE, pa.Table.from_pylist(images, IMAGES), rejected)


def name_of(row: Row) -> str:
    """What an image's request is kept as."""
    return f"{row['prompt_index']}-{row['sample_index']}"


def data_url(image: bytes) -> str:
    """An image as a chat takes it, its bytes untouched.

    Raises:
        BadImage: it can't be read, or is too large or too long.
    """
    question_pixels(image, PROBED_SIZE)
    kind = next((kind for begins, kind in TYPES.items() if image.startswith(begins)), "png")
    return f"data:image/{kind};base64,{base64.b64encode(image).decode('ascii')}"


def words_in(reply: bytes) -> str:
    """The words of a chat completion.

    Raises:
        Unreadable: it has none.
    """
    text = answer_in(reply).text
    if text is None or fault_of(text) is not None:
        raise Unreadable("an answer without words")
    return text.strip()


def image_in(reply: bytes) -> str:
    """The image of a reply, as the base64 text of a PNG file.

    Raises:
        Unreadable: it has none.
    """
    try:
        data = base64.b64decode(value_of(text_of(reply))["data"][0]["b64_json"], validate=True)
        check_header(io.BytesIO(data), MAX_PIXELS, MAX_ASPECT_RATIO)
        pixels = read_image(io.BytesIO(data), lambda image: np.asarray(upright_rgb(image)))
    except (BadLine, BadImage, *DECODING_ERRORS):
        raise Unreadable("an answer without an image") from None
    return base64.b64encode(data if data.startswith(b"\x89PNG") else png_bytes(pixels)).decode("ascii")
