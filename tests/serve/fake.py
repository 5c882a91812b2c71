"""A worker whose model is made up, so that it starts at once and does what a prompt tells it: be slow, fail, die, hang.

python -m tests.serve.fake [text-only] SOCKET
"""

import os
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from unix_lib.artefacts.errors import UserError
from unix_lib.config.generate import ImageSampling
from unix_lib.inference.requests import Event, Request, TextSampling
from unix_lib.serve.messages import ImageOrder, Order
from unix_lib.serve.worker import Worker
from unix_lib.tokenizers.vocabulary import Vocabulary

POSITIONS, SIDE, PIXELS = 600, 8, 32
SPECIAL = ["<|endoftext|>", "<|vision_start|>", "<|vision_end|>"]
ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
TEXT = len(ALPHABET) + len(SPECIAL)
SLOW_STEP = 0.005  # seconds


def tokenizer_of_bytes() -> Tokenizer:
    """Every byte is a token."""
    tokenizer = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(ALPHABET)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    return tokenizer


class FakeTokenizer:
    def __init__(self) -> None:
        self.backend_tokenizer = tokenizer_of_bytes()

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        return str(self.backend_tokenizer.decode(list(ids), skip_special_tokens=skip_special_tokens))


VOCABULARY = Vocabulary(
    text_size=TEXT,
    padded_text_size=TEXT,
    image_offset=TEXT,
    codebook_size=256,
    codes_per_image=SIDE * SIDE,
    size=TEXT + 256,
    eos_id=TEXT - 3,
    pad_id=TEXT - 3,
    vision_start_id=TEXT - 2,
    vision_end_id=TEXT - 1,
)


@dataclass
class Slot:
    told: str
    tokens: list[int]
    given: int = 0
    cut: bool = False


@dataclass
class FakeEngine:
    """Gives each request one of the tokens that were made up for it a step."""

    slots: int = 4
    waits: list[tuple[int, Slot]] = field(default_factory=list)
    runs: dict[int, Slot] = field(default_factory=dict)
    tickets: int = 0

    @property
    def busy(self) -> bool:
        return bool(self.waits or self.runs)

    @property
    def running(self) -> int:
        return len(self.runs)

    @property
    def waiting(self) -> int:
        return len(self.waits)

    def add(self, request: Request) -> int:
        if len(request.prompt) >= POSITIONS:
            raise UserError(f"{len(request.prompt)} tokens, more than {POSITIONS}")
        self.tickets += 1
        self.waits.append((self.tickets, made_up(request)))
        return self.tickets

    def cancel(self, ticket: int) -> None:
        self.runs.pop(ticket, None)
        self.waits = [each for each in self.waits if each[0] != ticket]

    def step(self) -> list[Event]:
        while self.waits and len(self.runs) < self.slots:
            ticket, slot = self.waits.pop(0)
            self.runs[ticket] = slot
        events = []
        told = " ".join(slot.told for slot in self.runs.values())
        if "slow" in told:
            time.sleep(SLOW_STEP)
        if "die" in told:
            os._exit(3)
        if "break" in told:
            raise RuntimeError("a fault of the engine")
        if "hang" in told:
            time.sleep(3600)
        for ticket, slot in list(self.runs.items()):
            slot.given += 1
            ended = slot.given == len(slot.tokens)
            finished = ("length" if slot.cut else "stop") if ended else None
            events.append(Event(ticket, (slot.tokens[slot.given - 1],), finished))
            if ended:
                del self.runs[ticket]
        return events


def made_up(request: Request) -> Slot:
    """An image's codes follow from prompt, seed and guidance; an answer repeats the prompt, with an image if it may."""
    ids = [token for token in request.prompt if token < len(ALPHABET)]
    told = FakeTokenizer().decode(ids, skip_special_tokens=True)
    entropy = [request.seed, *ids]
    if request.image is not None:
        entropy.append(int(request.image.guidance_scale * 100))
    codes = np.random.default_rng(entropy).integers(0, 256, SIDE * SIDE)
    image = [int(code) + TEXT for code in codes]
    if request.text is None:
        return Slot(told, image)
    drawn = [] if request.image is None else [VOCABULARY.vision_start_id, *image, VOCABULARY.vision_end_id]
    said = FakeTokenizer().backend_tokenizer.encode(f"You said: {told}").ids
    tokens = [*drawn, *said, VOCABULARY.eos_id]
    return Slot(told, tokens[: request.text.most_tokens], cut=len(tokens) > request.text.most_tokens)


class Config:
    max_position_embeddings = POSITIONS


class Model:
    config = Config()


class FakeAssistant:
    """What a worker needs of an `Assistant`."""

    def __init__(self) -> None:
        self.tokenizer, self.vocabulary, self.model, self.image_size = FakeTokenizer(), VOCABULARY, Model(), PIXELS
        self.engine = FakeEngine()
        self.sampling = ImageSampling()

    def pixels(self, codes: Sequence[int]) -> np.ndarray:
        """A tile of grey for each code; white is not drawn yet."""
        tiles = np.full(SIDE * SIDE, 255, np.uint8)
        tiles[: len(codes)] = np.asarray(codes, np.uint8)
        grey = np.kron(tiles.reshape(SIDE, SIDE), np.ones((PIXELS // SIDE, PIXELS // SIDE), np.uint8))
        return np.repeat(grey[:, :, None], 3, axis=2)

    def ids(self, text: str) -> list[int]:
        return list(self.tokenizer.backend_tokenizer.encode(text).ids)


def request_of(assistant: FakeAssistant, order: Order) -> Request:
    """All that was said, one after the other; each image is a code, as often as an image has codes."""
    ids: list[int] = []
    if isinstance(order, ImageOrder):
        if "odd" in order.prompt:
            raise RuntimeError("a fault of this request alone")
        ids = [*assistant.ids(order.prompt), VOCABULARY.vision_start_id]
        return Request(ids, order.seed, image=assistant.sampling.model_copy(update=order.sampling))
    for part in (part for turn in order.turns for part in turn.parts):
        ids += assistant.ids(part) if isinstance(part, str) else [TEXT + int(part.mean())] * (SIDE * SIDE)
    text = TextSampling(**order.text)
    text = replace(text, most_tokens=min(text.most_tokens, POSITIONS - len(ids)))
    image = None if order.image is None else assistant.sampling.model_copy(update=order.image)
    return Request(ids, order.seed, text=text, image=image)


if __name__ == "__main__":
    made_up_assistant = FakeAssistant()
    if "text-only" in sys.argv:
        made_up_assistant.image_size = None  # type: ignore[assignment]
    Worker(socket.socket(fileno=int(sys.argv[-1])), made_up_assistant, request_of).run()  # type: ignore[arg-type]
