"""Images of questions as the data set has them: read from its own bytes, prepared once, however small they are."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.images.pictures import noise
from unix_lib.benchmarks.question_files import read_questions
from unix_lib.generate.answers import question_pixels


@pytest.mark.parametrize(("width", "height"), [(7, 5), (40, 90), (33, 33)])
def test_a_stored_image_is_decoded_and_scaled_once(tmp_path: Path, width: int, height: int) -> None:
    stored = io.BytesIO()
    noise(width, height, seed=3).save(stored, "JPEG", quality=40)
    text = base64.b64encode(stored.getvalue()).decode()
    path = tmp_path / "pope.tsv"
    path.write_text(f"index\tquestion\tanswer\timage\n1\tIs it?\tyes\t{text}\n2\tOr?\tno\t1\n")
    questions, _ = read_questions(path, "pope")
    assert [question.image_bytes for question in questions] == [stored.getvalue()] * 2

    short = min(width, height)
    size = (round(32 * width / short), round(32 * height / short))
    scaled = Image.open(io.BytesIO(stored.getvalue())).convert("RGB").resize(size, Image.Resampling.LANCZOS)
    left, top = (size[0] - 32) // 2, (size[1] - 32) // 2
    by_hand = np.asarray(scaled.crop((left, top, left + 32, top + 32)))
    assert np.array_equal(question_pixels(questions[0].image_bytes, 32), by_hand)
