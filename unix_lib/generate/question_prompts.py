"""What a model is shown of a question about an image, wherever it answers."""

import io

import numpy as np

from unix_lib.benchmarks.question_files import Question
from unix_lib.images.files import MAX_ASPECT_RATIO, MAX_PIXELS, check_header, square_rgb
from unix_lib.records.questions import choice_prompt


def question_prompt(question: Question, suffix: str) -> str:
    """What the model is shown: worded as in training, then the suffix that leads to the answer."""
    text = f"{question.hint}\n{question.text}" if question.hint else question.text
    return (choice_prompt(text, question.options) if question.options else text) + suffix


def question_pixels(data: bytes, image_size: int) -> np.ndarray:
    """A benchmark's image, prepared as training images are; uint8 (S, S, 3).

    Raises:
        BadImage: says why it can't be read, or that it is too large or too long.
    """
    check_header(io.BytesIO(data), MAX_PIXELS, MAX_ASPECT_RATIO)
    return square_rgb(io.BytesIO(data), image_size)
