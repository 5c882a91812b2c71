"""A checkpoint that draws and answers: its model on an engine, its tokenizers, and how its prompts are put."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from unix_lib.chat.prompts import CodedMessage, chat_ids
from unix_lib.checkpoints.errors import NoImages
from unix_lib.checkpoints.loaded import Checkpoint
from unix_lib.checkpoints.open import open_checkpoint
from unix_lib.checkpoints.sampling import read_sampling
from unix_lib.config.generate import ImageSampling
from unix_lib.images.files import MAX_ASPECT_RATIO, MAX_PIXELS, check_header, fit, square_rgb, upright_rgb
from unix_lib.inference.requests import Request, TextSampling
from unix_lib.pack.sequences import text_to_image_prompt_ids
from unix_lib.tokenizers.coded_images import decode_images, encode_images
from unix_lib.tokenizers.text import encode_texts

MISSING = 128  # grey level of what is not drawn yet
Picture = np.ndarray | Image.Image | Path  # uint8 (H, W, 3), or anything that Pillow reads


@dataclass(frozen=True)
class Message:
    """One message of a chat: texts and pictures in order."""

    role: str  # system | user | assistant
    parts: Sequence[str | Picture]


class Assistant:
    """Draws images, answers questions about images, chats."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Nothing is loaded before it is needed."""
        self.checkpoint = checkpoint
        self.engine, self.model = checkpoint.engine, checkpoint.model
        self.tokenizer, self.vocabulary = checkpoint.tokenizer, checkpoint.vocabulary

    @classmethod
    def open(
        cls,
        checkpoint: Path | str,
        *,
        image_tokenizer: Path | None = None,
        device: str = "auto",
        slots: int = 8,
        batch_invariant: bool = True,
    ) -> "Assistant":
        """A finished checkpoint.

        Args:
            checkpoint: `results/<experiment>/current/train/<run>-step-<step>`.
            image_tokenizer: artefact `tokenizers/image`; None finds the one behind the checkpoint's data, which a
                checkpoint that saw text only has not: it then answers without images.
            device: cpu, cuda, or auto, which takes a GPU where there is one.
            slots: images drawn together, with guidance.
            batch_invariant: whether an answer's bits are the same alone and in company, see `Engine`.

        Raises:
            CheckpointError: no checkpoint there, no image tokenizer behind it or one with other codes, or no such
                device. ArtefactError: a damaged artefact.
        """
        opened = open_checkpoint(
            Path(checkpoint), image_tokenizer, slots, device, with_images=None, batch_invariant=batch_invariant
        )
        return cls(opened)

    @cached_property
    def sampling(self) -> ImageSampling:
        """How images are sampled unless a call says otherwise: as the checkpoint's experiment does, or as the paper."""
        return read_sampling(self.checkpoint.folder) or ImageSampling()

    @property
    def image_size(self) -> int | None:
        """Pixels of an image's side; None of a checkpoint without images."""
        return self.checkpoint.image_tokenizer.image_size if self.checkpoint.has_images else None

    def _require_images(self) -> int:
        if self.image_size is None:
            raise NoImages(f"{self.checkpoint.folder}: a checkpoint of text only knows no images; give it texts alone")
        return self.image_size

    def draw(self, prompt: str, *, seed: int = 0, **sampling: Any) -> Image.Image:
        """An image of what a prompt says; see `image_request`."""
        (tokens,) = self.engine.run([self.image_request(prompt, seed=seed, **sampling)])
        (image,) = self.read(tokens)
        assert isinstance(image, Image.Image)
        return image

    def answer(self, question: str, image: Picture | None = None, *, seed: int = 0, **sampling: Any) -> str:
        """The answer to a question, about an image where there is one; `sampling` are fields of `TextSampling`."""
        parts = [question] if image is None else [image, question]
        return "".join(str(part) for part in self.chat([Message("user", parts)], seed=seed, **sampling))

    def chat(
        self, messages: Sequence[Message], *, image: ImageSampling | None = None, seed: int = 0, **sampling: Any
    ) -> list[str | Image.Image]:
        """The next message of a chat: texts, and images where `image` says how they may be drawn, in order."""
        request = self.chat_request(messages, text=TextSampling(**sampling), image=image, seed=seed)
        (tokens,) = self.engine.run([request])
        return self.read(tokens)

    def image_request(self, prompt: str, *, seed: int = 0, **sampling: Any) -> Request:
        """What the engine is asked for an image; `sampling` are fields of `ImageSampling`.

        Raises:
            NoImages: the checkpoint draws none.
        """
        self._require_images()
        how = self.sampling.model_copy(update=sampling)
        return Request(self._image_ids(prompt), seed, image=how, unconditional=self._image_ids(None))

    def chat_request(
        self, messages: Sequence[Message], *, text: TextSampling, image: ImageSampling | None = None, seed: int = 0
    ) -> Request:
        """What the engine is asked for the next message of a chat.

        Raises:
            ModelError: nothing to answer, or an unknown role. BadImage: a picture that can't be read. NoImages: the
                checkpoint knows none.
        """
        coded = [
            CodedMessage(message.role, [part if isinstance(part, str) else self.codes(part) for part in message.parts])
            for message in messages
        ]
        if image is not None:
            self._require_images()
        free = [] if image is None else self._image_ids(None)
        stops = [self.vocabulary.eos_id]
        return Request(self._chat_ids(coded), seed, text=text, image=image, unconditional=free, stop_ids=stops)

    def question_request(self, question: str, codes: np.ndarray, sampling: TextSampling, *, seed: int = 0) -> Request:
        """What the engine is asked about an image, of codes (codes_per_image,); no question asks what it shows."""
        ids = self._chat_ids([CodedMessage("user", [codes, question])])
        return Request(ids, seed, text=sampling, stop_ids=[self.vocabulary.eos_id])

    def text_request(self, text: str, sampling: TextSampling, *, seed: int = 0) -> Request:
        """What the engine is asked to continue a text with."""
        ids = encode_texts(self.tokenizer, [text])[0]
        return Request(ids, seed, text=sampling, stop_ids=[self.vocabulary.eos_id])

    def codes(self, picture: Picture) -> np.ndarray:
        """Codes (codes_per_image,) of a picture, prepared as training images are.

        Raises:
            BadImage: says why it can't be read, or that it is too large or too long. NoImages: the checkpoint knows
                none.
        """
        size = self._require_images()
        if isinstance(picture, Path):
            check_header(picture, MAX_PIXELS, MAX_ASPECT_RATIO)
            square = square_rgb(picture, size)
        else:
            image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
            square = np.asarray(fit(upright_rgb(image), size))
        codes: np.ndarray = encode_images(self.checkpoint.image_tokenizer, square[None])[0]
        return codes

    def read(self, tokens: Sequence[int]) -> list[str | Image.Image]:
        """Texts and images in the order in which they were made; an image that was cut off is left out."""
        parts: list[str | Image.Image] = []
        words: list[int] = []
        codes: list[int] = []
        for token in [*tokens, None]:
            if token is not None and self.vocabulary.image_offset <= token < self.vocabulary.size:
                codes.append(token - self.vocabulary.image_offset)
            elif token is not None and token not in (self.vocabulary.vision_start_id, self.vocabulary.separator_id):
                words.append(token)
            if words and (token is None or token == self.vocabulary.vision_start_id):
                text = str(self.tokenizer.decode(words, skip_special_tokens=True)).strip()
                parts += [text] if text else []
                words = []
            if len(codes) == self.vocabulary.codes_per_image:
                parts.append(Image.fromarray(self.pixels(codes)))
                codes = []
        return parts

    def pixels(self, codes: Sequence[int] | np.ndarray) -> np.ndarray:
        """uint8 (S, S, 3) of an image's codes; of its first rows only, what is missing is grey."""
        given, wanted = np.asarray(codes), self.vocabulary.codes_per_image
        side = math.isqrt(wanted)
        whole = np.resize(given if len(given) else np.zeros(1, dtype=np.int64), wanted)
        pixels: np.ndarray = decode_images(self.checkpoint.image_tokenizer, whole[None])[0]
        shown = self._require_images() * (len(given) // side) // side
        if len(given) < wanted:
            pixels[shown:] = MISSING
        return pixels

    def _chat_ids(self, messages: Sequence[CodedMessage]) -> list[int]:
        return chat_ids(self.tokenizer, self.vocabulary, messages, self.checkpoint.wording)

    def _image_ids(self, prompt: str | None) -> list[int]:
        return text_to_image_prompt_ids(self.tokenizer, self.vocabulary, prompt, self.checkpoint.wording)
