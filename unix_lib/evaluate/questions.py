"""Questions about images: each image through the image tokenizer, each answer decoded greedily and read.

In: a question file and a checkpoint. Out: one sample per question and the benchmark's scores. A damaged image sets
its questions aside with a reason; a wordless or unreadable answer is wrong.
"""

import io
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from unix_lib.checkpoints.loaded import Checkpoint
from unix_lib.evaluate.answers import parse_option, parse_yes_no
from unix_lib.evaluate.benchmark import BenchmarkResult, BenchmarkTask
from unix_lib.evaluate.question_files import YES_NO_LAYOUTS, Question, QuestionFileError, RejectedRow, read_questions
from unix_lib.evaluate.question_scores import SCORES_OF_LAYOUT, Answered
from unix_lib.images.files import MAX_ASPECT_RATIO, MAX_PIXELS, BadImage, check_header, square_rgb
from unix_lib.records.questions import choice_prompt

log = logging.getLogger(__name__)

ANSWER = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),  # the model's words
        pa.field("rejected", pa.string()),  # why the image is set aside; null otherwise
        pa.field("detail", pa.string()),
    ]
)


def score_questions(task: BenchmarkTask) -> BenchmarkResult:
    """Ask a model all questions of a benchmark in TSV layout, and score its answers."""
    layout = task.settings["layout"]
    path = task.benchmark_file(f"{layout}.tsv")
    questions, rejected = read_questions(path, layout, task.settings.get("limit"))

    most, suffix = task.settings["max_answer_tokens"], task.settings["question_suffix"]
    answers = task.open_store(ANSWER).fill(
        questions,
        lambda batch: answer_questions(task.checkpoint, batch, most, suffix),
        batch_size=task.checkpoint.batch_size,
        name=task.name,
    )
    samples: list[dict[str, Any]] = []
    asked: list[Question] = []
    parsed: list[str | None] = []
    for question, answer in zip(questions, answers, strict=True):
        if answer["rejected"] is not None:
            rejected.append(RejectedRow(question.index, path.name, answer["rejected"], answer["detail"]))
            continue
        reading = read_answer(question, answer["text"], layout)
        asked.append(question)
        parsed.append(reading)
        samples.append(_sample(question, suffix, answer["text"], reading))
    if not asked:
        raise QuestionFileError(f"{path}: not one image can be read; the first is {answers[0]['detail']}")
    if rejected:
        log.warning("%s: set aside %d rows or images, the first as %s", task.name, len(rejected), rejected[0].reason)
    answered = Answered(
        categories=np.array([question.category for question in asked]),
        images=np.array([question.image_id for question in asked]),
        expected=np.array([question.answer for question in asked], dtype=object),
        parsed=np.array(parsed, dtype=object),
    )
    scores = SCORES_OF_LAYOUT[layout](answered, task.chance, task.bootstrap_samples)
    return BenchmarkResult(scores, samples, rejected=rejected)


def question_prompt(question: Question, suffix: str) -> str:
    """What the model is shown: worded as in training, then the suffix that leads to the answer."""
    text = f"{question.hint}\n{question.text}" if question.hint else question.text
    return (choice_prompt(text, question.options) if question.options else text) + suffix


def read_answer(question: Question, text: str, layout: str) -> str | None:
    """The answer that the model's words give, None where they give none."""
    return parse_yes_no(text) if layout in YES_NO_LAYOUTS else parse_option(text, question.options)


def _sample(question: Question, suffix: str, text: str, reading: str | None) -> dict[str, Any]:
    reason = "" if reading == question.answer else f"answered {reading}" if reading else "unreadable answer"
    return {
        "sample_id": question.index,
        "task": question.category,
        "prompt": question_prompt(question, suffix),
        "prediction": text,
        "answer": question.answer,
        "value": float(reading == question.answer),
        "reason": reason,
    }


def question_pixels(data: bytes, image_size: int) -> np.ndarray:
    """A benchmark's image, prepared as training images are; uint8 (S, S, 3).

    Raises:
        BadImage: says why it can't be read, or that it is too large or too long.
    """
    check_header(io.BytesIO(data), MAX_PIXELS, MAX_ASPECT_RATIO)
    return square_rgb(io.BytesIO(data), image_size)


def answer_questions(
    checkpoint: Checkpoint, questions: Sequence[Question], most_tokens: int, suffix: str
) -> list[dict[str, Any]]:
    """Answers to a batch of questions, rows of `ANSWER`; an image asked about several times is encoded once."""
    from unix_lib.generate.text import generate_text
    from unix_lib.pack.sequences import vqa_prompt_ids

    rows: list[dict[str, Any]] = [
        {"sample_id": question.index, "text": "", "rejected": None, "detail": None} for question in questions
    ]
    pixels: dict[str, np.ndarray] = {}
    for question, row in zip(questions, rows, strict=True):
        if question.image_id not in pixels:
            try:
                pixels[question.image_id] = question_pixels(question.image_bytes, checkpoint.image_tokenizer.image_size)
            except BadImage as error:
                row["rejected"], row["detail"] = error.reason, error.detail
    if not pixels:
        return rows
    codes = dict(zip(pixels, encode_images(checkpoint, np.stack(list(pixels.values()))), strict=True))
    usable = [index for index, row in enumerate(rows) if row["rejected"] is None]
    prompts = [
        vqa_prompt_ids(
            checkpoint.tokenizer,
            checkpoint.vocabulary,
            codes[questions[index].image_id],
            question_prompt(questions[index], suffix),
        )
        for index in usable
    ]
    answers = generate_text(
        checkpoint.model,
        prompts,
        max_new_tokens=most_tokens,
        stop_ids=[checkpoint.vocabulary.eos_id],
        batch_size=checkpoint.batch_size,
    )
    for index, ids in zip(usable, answers, strict=True):
        rows[index]["text"] = str(checkpoint.tokenizer.decode(ids, skip_special_tokens=True)).strip()
    return rows


def encode_images(checkpoint: Checkpoint, images: np.ndarray) -> np.ndarray:
    """Codes (N, codes_per_image) of images, uint8 (N, S, S, 3)."""
    from unix_lib.images.pixels import pixels_from_rgb

    pixels = pixels_from_rgb(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    return np.asarray(checkpoint.image_tokenizer.encode(pixels))
