"""What the server and its workers say to each other, and how it is put on a socket: a length, then a pickle.

Both ends are processes of the same server, so nothing from outside is unpickled.
"""

import pickle
import socket
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

LENGTH = struct.Struct("!Q")


@dataclass(frozen=True)
class Turn:
    """One message of a chat: texts, and images uint8 (S, S, 3), in order."""

    role: str
    parts: tuple[str | np.ndarray, ...]


@dataclass(frozen=True)
class ImageOrder:
    """One image to draw. `sampling` overrides fields of the checkpoint's `ImageSampling`."""

    key: int
    prompt: str
    seed: int
    sampling: dict[str, Any]
    partials: int  # images shown before the whole one
    format: str  # Pillow's name


@dataclass(frozen=True)
class ChatOrder:
    """One answer to a chat. `text` has fields of `TextSampling`; `image` as above, None where no image is wanted."""

    key: int
    turns: tuple[Turn, ...]
    seed: int
    text: dict[str, Any]
    image: dict[str, Any] | None
    stop: tuple[str, ...]


@dataclass(frozen=True)
class Cancel:
    """Nobody waits for this any more."""

    key: int


Order = ImageOrder | ChatOrder


@dataclass(frozen=True)
class Facts:
    """A worker is ready: what its checkpoint is like."""

    positions: int  # tokens of prompt and answer together
    image_size: int | None  # side in pixels; None is a checkpoint without images
    image_length: int  # tokens
    tokenizer: str  # the JSON of a fast tokenizer


@dataclass(frozen=True)
class CannotStart:
    """A worker that ends, and why, in words for a user."""

    message: str


@dataclass(frozen=True)
class Pulse:
    """A worker lives."""

    running: int
    waiting: int


@dataclass(frozen=True)
class Begun:
    """A request has its slot, and its first tokens."""

    key: int
    prompt_tokens: int
    prompt_image_tokens: int


@dataclass(frozen=True)
class Text:
    """More of an answer's text."""

    key: int
    text: str


@dataclass(frozen=True)
class Picture:
    """An image's file; `partial` is its number among the partial ones, None of the whole image."""

    key: int
    data: bytes
    partial: int | None


@dataclass(frozen=True)
class Ended:
    """The last of a request."""

    key: int
    finished: str  # stop or length
    tokens: int


@dataclass(frozen=True)
class Failed:
    """Instead of it; `status` is HTTP's."""

    key: int
    status: int
    message: str
    code: str


Answer = Begun | Text | Picture | Ended | Failed
Message = Facts | CannotStart | Pulse | Answer


def frame(message: Message | Order | Cancel) -> bytes:
    """A message as it is sent."""
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(data)) + data


def receive(connection: socket.socket) -> Any:
    """The next message.

    Raises:
        EOFError: the other side is gone.
    """
    (length,) = LENGTH.unpack(_exactly(connection, LENGTH.size))
    return pickle.loads(_exactly(connection, length))


def _exactly(connection: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        more = connection.recv(min(length - len(data), 2**20))
        if not more:
            raise EOFError
        data += more
    return bytes(data)
