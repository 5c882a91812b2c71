"""An image-text model of transformers', tiny and random, as a judge."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from tests.judges import tiny
from unix_lib.judges.image_text import ImageTextJudge
from unix_lib.judges.image_text_runner import ImageTextRunner
from unix_lib.judges.judge import JudgeError

TEMPLATE = (
    "{% for turn in messages %}{% for part in turn.content %}"
    "{{ '<image>' if part.type == 'image' else ' ' + part.text }}{% endfor %}{% endfor %}"
)
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), dtype=np.uint8)
QUESTIONS = ["is there a red object", "what photo", "no"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.image_text(tmp_path_factory.mktemp("llava"), TEMPLATE)


def judge(path: Path, **settings: object) -> ImageTextRunner:
    given = {"kind": "image_text", "model": {"path": str(path)}, "max_tokens": 4, "device": "cpu"}
    return ImageTextRunner(ImageTextJudge.model_validate(given | settings), 0)


def test_answers_are_the_model_s_most_probable_words(model: Path) -> None:
    network, processor = AutoModelForImageTextToText.from_pretrained(model).eval(), AutoProcessor.from_pretrained(model)
    expected = []
    for image, question in zip(IMAGES, QUESTIONS, strict=True):
        asked = processor(images=Image.fromarray(image), text=f"<image> {question}", return_tensors="pt")
        ids = asked["input_ids"]
        for _ in range(4):  # without a cache
            with torch.inference_mode():
                logits = network(input_ids=ids, pixel_values=asked["pixel_values"]).logits[0, -1]
            ids = torch.cat([ids, logits.argmax()[None, None]], dim=1)
            if int(ids[0, -1]) == processor.tokenizer.eos_token_id:
                break
        expected.append(processor.tokenizer.decode(ids[0, asked["input_ids"].shape[1] :], skip_special_tokens=True))
    for batch_size in (1, 3):
        assert judge(model, batch_size=batch_size).answer(IMAGES, QUESTIONS) == expected
    assert len(set(expected)) > 1


def test_a_prompt_stands_for_the_chat_template(model: Path, tmp_path: Path) -> None:
    plain = tiny.image_text(tmp_path / "plain", None)
    with pytest.raises(JudgeError, match="has no chat template; give 'prompt'"):
        judge(plain)
    assert judge(plain, prompt="<image> {question}").answer(IMAGES, QUESTIONS) == judge(model).answer(IMAGES, QUESTIONS)
    with pytest.raises(ValueError, match="prompt"):
        ImageTextJudge.model_validate({"kind": "image_text", "model": {"path": "x"}, "prompt": "Is it?"})


def test_scores_name_the_model(model: Path) -> None:
    settings = ImageTextJudge.model_validate({"kind": "image_text", "model": {"path": "owner/judge-7b"}})
    assert settings.model_name() == "judge-7b"
    assert [need.repository and need.repository.repository for need in settings.needs("vqa")] == ["owner/judge-7b"]
