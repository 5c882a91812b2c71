"""The assistant: prompts as in training, images and answers as the engine's, chats in both directions."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from tests.evaluate.small import SmallExperiment
from unix_lib.chat.assistant import MISSING, Assistant, Message
from unix_lib.chat.prompts import CodedMessage, chat_ids
from unix_lib.checkpoints.errors import CheckpointError, NoImages
from unix_lib.checkpoints.loaded import Checkpoint
from unix_lib.checkpoints.open import open_checkpoint
from unix_lib.config.generate import ImageSampling, Wording
from unix_lib.images.files import BadImage
from unix_lib.inference.batches import codes_in, generate_images
from unix_lib.inference.engine import Engine
from unix_lib.inference.requests import TextSampling
from unix_lib.models import ModelError
from unix_lib.pack.formats import Format
from unix_lib.pack.sequences import FixedParts, text_to_image_prompt_ids, vqa_prompt_ids
from unix_lib.tokenize.batch import tokenize_batch
from unix_lib.tokenize.flags import without_flags
from unix_lib.tokenizers.vocabulary import VocabularyError

ROOT = Path(__file__).resolve().parents[2]
SHOWN = ("README.md", "docs/inference.md")
QUESTIONS = ["Is there a circle?", "What colour is it?"]


@pytest.fixture(scope="module")
def assistant(small: SmallExperiment) -> Assistant:
    checkpoint, tokenizer = (small.results / name for name in (small.checkpoint, small.image_tokenizer))
    return Assistant.open(checkpoint, image_tokenizer=tokenizer, slots=2)


def coded(assistant: Assistant, seed: int) -> np.ndarray:
    vocabulary = assistant.vocabulary
    return np.random.default_rng(seed).integers(0, vocabulary.codebook_size, vocabulary.codes_per_image)


def test_a_chat_is_put_as_training_puts_a_conversation(assistant: Assistant) -> None:
    """The whole document before its last answer: images first, every turn, every answer ended."""
    images = [coded(assistant, 1), coded(assistant, 2)]
    turns = [("system", "Be brief. "), ("user", f" {QUESTIONS[0]}"), ("assistant", "Yes."), ("user", QUESTIONS[1])]
    messages = [{"role": role, "content": text} for role, text in [*turns, ("assistant", "Red.")]]
    row = {"sample_id": "a", "kind": "conversation", "text": None, "messages": messages, "image_ids": ["x", "y"]}
    (record,) = tokenize_batch(pa.RecordBatch.from_pylist([row]), assistant.tokenizer).records.to_pylist()
    fixed = FixedParts.of(assistant.tokenizer, assistant.vocabulary)
    tokens, flags = without_flags(np.array(record["tokens"], dtype=np.int32))
    document, _ = fixed.document(Format.IMAGE_CONVERSATION, 0, 0, tokens, flags, np.stack(images))

    chat = [CodedMessage(role, [text]) for role, text in turns]
    chat[1] = CodedMessage("user", [images[0], turns[1][1], images[1]])
    ids = chat_ids(assistant.tokenizer, assistant.vocabulary, chat, Wording())
    answer = document.tolist()[len(ids) :]
    assert document.tolist()[: len(ids)] == ids and answer[-1] == assistant.vocabulary.eos_id
    assert assistant.tokenizer.decode(answer[:-1]) == "Red."


@pytest.mark.parametrize("template", ["ours", "published"])
def test_a_question_is_put_as_evaluation_puts_it(assistant: Assistant, template: str) -> None:
    codes, wording = coded(assistant, 1), Wording(template=template)
    chat = [CodedMessage("user", [QUESTIONS[0], codes])]
    asked = vqa_prompt_ids(assistant.tokenizer, assistant.vocabulary, codes, QUESTIONS[0], wording)
    assert chat_ids(assistant.tokenizer, assistant.vocabulary, chat, wording) == asked
    shown = FixedParts.worded(assistant.tokenizer, assistant.vocabulary, wording)
    caption = shown.prompt(Format.IMAGE_TO_TEXT, np.zeros(0, dtype=np.int32), codes[None])
    for parts in ([codes], [codes, "  "]):
        assert chat_ids(assistant.tokenizer, assistant.vocabulary, [CodedMessage("user", parts)], wording) == caption


def test_images_that_the_model_made_stand_where_it_made_them(assistant: Assistant) -> None:
    vocabulary, codes = assistant.vocabulary, coded(assistant, 3)
    chat = [
        CodedMessage("user", ["Draw it."]),
        CodedMessage("assistant", ["Here:", codes]),
        CodedMessage("user", ["?"]),
    ]
    ids = chat_ids(assistant.tokenizer, vocabulary, chat, Wording())
    begin = ids.index(vocabulary.vision_start_id)
    assert assistant.tokenizer.decode(ids[:begin]) == "Draw it.\nHere:"
    made = [*vocabulary.image_tokens(codes).tolist(), vocabulary.vision_end_id, vocabulary.eos_id]
    assert ids[begin + 1 : begin + 1 + len(made)] == made
    assert assistant.tokenizer.decode(ids[begin + 1 + len(made) :]) == "?\n"


def test_chats_that_say_nothing_are_refused(assistant: Assistant) -> None:
    outside = np.full(assistant.vocabulary.codes_per_image, assistant.vocabulary.codebook_size)
    wrong = [
        ([], ModelError, "nothing to answer"),
        ([CodedMessage("user", [])], ModelError, "nothing to answer"),
        ([CodedMessage("system", ["Be brief."])], ModelError, "nothing to answer"),
        ([CodedMessage("tool", ["x"])], ModelError, "role 'tool'"),
        ([CodedMessage("user", [outside])], VocabularyError, "outside"),
    ]
    for chat, error, said in wrong:
        with pytest.raises(error, match=said):
            chat_ids(assistant.tokenizer, assistant.vocabulary, chat, Wording())


def test_what_is_drawn_and_answered_is_the_engines(assistant: Assistant, tmp_path: Path) -> None:
    vocabulary, tokenizer = assistant.vocabulary, assistant.tokenizer
    prompts = [text_to_image_prompt_ids(tokenizer, vocabulary, text) for text in ("a red circle", None)]
    sampling = ImageSampling(guidance_scale=2.0, top_k=0)
    codes = generate_images(Engine(assistant.model, rows=4), prompts[:1], prompts[1], [7], sampling)
    image = assistant.draw("a red circle", seed=7, guidance_scale=2.0, top_k=0)
    assert (np.asarray(image) == assistant.pixels(codes[0])).all()
    image.save(tmp_path / "drawn.png")

    looked_at = assistant.codes(image)
    assert (assistant.codes(tmp_path / "drawn.png") == looked_at).all()
    assert (assistant.codes(np.asarray(image)) == looked_at).all()
    asked = vqa_prompt_ids(tokenizer, vocabulary, looked_at, QUESTIONS[0])
    request = assistant.question_request(QUESTIONS[0], looked_at, TextSampling(most_tokens=5))
    assert request.prompt == asked
    (tokens,) = Engine(assistant.model, rows=4).run([request])
    assert assistant.answer(QUESTIONS[0], image, most_tokens=5) == tokenizer.decode(tokens).strip()
    chat = [Message("user", [image, QUESTIONS[0]]), Message("assistant", ["No."]), Message("user", [QUESTIONS[1]])]
    assert all(isinstance(part, str) for part in assistant.chat(chat, most_tokens=3))
    (tmp_path / "torn.png").write_bytes((tmp_path / "drawn.png").read_bytes()[:60])
    with pytest.raises(BadImage):
        assistant.codes(tmp_path / "torn.png")


def test_tokens_are_read_as_text_and_images_in_order(assistant: Assistant) -> None:
    vocabulary, codes = assistant.vocabulary, coded(assistant, 4)
    say = assistant.tokenizer.encode
    image = [vocabulary.vision_start_id, *vocabulary.image_tokens(codes).tolist(), vocabulary.vision_end_id]
    parts = assistant.read([*say("a red"), *image, *say(" circle"), *image[:3]])  # the last one was cut off
    assert [type(part) for part in parts] == [str, Image.Image, str]
    assert (parts[0], parts[2]) == ("a red", "circle")
    assert (np.asarray(parts[1]) == assistant.pixels(codes)).all()
    assert codes_in(image, assistant.model.config) == codes.tolist()
    assert assistant.read([]) == []


def test_the_first_rows_of_an_image_are_shown_before_the_rest_is_drawn(assistant: Assistant) -> None:
    codes, side = coded(assistant, 5), assistant.image_size
    rows = int(assistant.vocabulary.codes_per_image**0.5)
    begun = assistant.pixels(codes[: 2 * rows + 1])
    assert begun.shape == (side, side, 3)
    assert (begun[2 * side // rows :] == MISSING).all() and not (begun[: 2 * side // rows] == MISSING).all()
    assert (assistant.pixels(codes[:1]) == MISSING).all()


def test_the_scripts_that_the_pages_show_run(small: SmallExperiment, capsys: pytest.CaptureFixture[str]) -> None:
    shown = [re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL) for page in SHOWN]
    assert [len(blocks) for blocks in shown] == [1, 1]
    checkpoint, tokenizer = (small.results / name for name in (small.checkpoint, small.image_tokenizer))
    opened = f'Assistant.open("{checkpoint}", image_tokenizer=Path("{tokenizer}"))'
    script, replaced = re.subn(r'Assistant\.open\("[^"]+"\)', opened, shown[0][0])
    more, shortened = re.subn(r"range\(100\)", "range(3)", shown[1][0])
    assert replaced == shortened == 1
    made: dict[str, Any] = {"Path": Path}
    exec(script + more, made)
    assert isinstance(made["image"], Image.Image) and len(made["images"]) == 3
    assert (np.asarray(made["images"][1]) == np.asarray(made["image"])).all()  # the same prompt and seed
    assert capsys.readouterr().out.endswith("\n")


def test_a_checkpoint_without_images_writes_and_refuses_images(small: SmallExperiment, assistant: Assistant) -> None:
    bare = Assistant(Checkpoint(small.results / small.checkpoint, None, 2))
    assert bare.image_size is None
    assert bare.answer(QUESTIONS[0], most_tokens=4) == assistant.answer(QUESTIONS[0], most_tokens=4)
    for ask in (
        lambda: bare.draw("a red circle"),
        lambda: bare.answer(QUESTIONS[0], np.zeros((32, 32, 3), np.uint8)),
        lambda: bare.chat([Message("user", [QUESTIONS[0]])], image=ImageSampling()),
    ):
        with pytest.raises(NoImages, match="a checkpoint of text only knows no images"):
            ask()


def test_only_a_checkpoint_whose_data_had_no_images_opens_without_a_tokenizer(
    small: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of which nobody knows what it saw needs to have its tokenizer named."""
    checkpoint = small.results / small.checkpoint
    with pytest.raises(CheckpointError, match="--image-tokenizer") as unknown:
        Assistant.open(checkpoint)
    assert not isinstance(unknown.value, NoImages)

    def of_text(_: Path) -> Path:
        raise NoImages("nothing it was made from had images")

    monkeypatch.setattr("unix_lib.checkpoints.open.image_tokenizer_of", of_text)
    assert Assistant.open(checkpoint).image_size is None
    with pytest.raises(NoImages):
        open_checkpoint(checkpoint, None, 2, "cpu", with_images=True)
