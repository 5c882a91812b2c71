"""Asks an image-text model of transformers' about images, in batches, without sampling."""

from collections.abc import Sequence

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from unix_lib.judges.image_text import ImageTextJudge
from unix_lib.judges.judge import Images, JudgeError
from unix_lib.judges.pretrained import device_called, opened, opened_network

DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}


class ImageTextRunner:
    """A model with its processor, on one device."""

    def __init__(self, settings: ImageTextJudge, image_size: int) -> None:
        """Read both.

        Raises:
            JudgeError: they are not here, or have no chat template where no prompt is given.
        """
        self.settings = settings
        self.device = device_called(settings.device)
        self._processor = opened(AutoProcessor, settings.model)
        if settings.prompt is None and not getattr(self._processor, "chat_template", None):
            raise JudgeError(f"{settings.model.path}: its processor has no chat template; give 'prompt'")
        tokenizer = self._processor.tokenizer
        tokenizer.padding_side = "left"  # answers begin at one place
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        network = opened_network(AutoModelForImageTextToText, settings.model, self.device)
        self._model = network.to(DTYPES[settings.precision])

    def answer(self, images: Images, questions: Sequence[str]) -> list[str]:
        """See `QuestionAnswerer`."""
        answers: list[str] = []
        for begin in range(0, len(questions), self.settings.batch_size):
            some = slice(begin, begin + self.settings.batch_size)
            answers += self._answers([Image.fromarray(image) for image in images[some]], questions[some])
        return answers

    @torch.inference_mode()
    def _answers(self, images: list[Image.Image], questions: Sequence[str]) -> list[str]:
        asked = self._processor(
            images=[[image] for image in images],
            text=[self._worded(question) for question in questions],
            padding=True,
            return_tensors="pt",
        ).to(self.device, self._model.dtype)
        said = self._model.generate(**asked, max_new_tokens=self.settings.max_tokens, do_sample=False)
        width = asked["input_ids"].shape[1]
        if said.shape[1] >= width and torch.equal(said[:, :width], asked["input_ids"]):  # not of an encoder-decoder
            said = said[:, width:]
        return [words.strip() for words in self._processor.batch_decode(said, skip_special_tokens=True)]

    def _worded(self, question: str) -> str:
        if self.settings.prompt is not None:
            return self.settings.prompt.replace("{question}", question)
        content = [{"type": "image"}, {"type": "text", "text": question}]
        turns = [{"role": "user", "content": content}]
        return str(self._processor.apply_chat_template(turns, add_generation_prompt=True))
