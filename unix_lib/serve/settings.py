"""What a server is started with: a checkpoint, an address, limits. Importing this needs no torch."""

from dataclasses import dataclass, field
from pathlib import Path

from unix_lib.artefacts.errors import UserError
from unix_lib.images.files import MAX_PIXELS

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class ServeError(UserError):
    """A server that can't be started."""


@dataclass(frozen=True)
class Limits:
    """What one request, and all together, may take. Everything is judged before a pixel or a token is computed."""

    body_bytes: int = 32 * 2**20
    body_seconds: float = 60.0  # until a body has arrived
    held_bytes: int = 2**30  # bodies and pixels of all requests together
    images: int = 8  # in a request
    pixels: int = MAX_PIXELS  # of an image, by its header
    outputs: int = 10  # n
    answer_tokens: int = 256  # where a chat request doesn't say
    queue: int = 1000  # answers that wait
    seconds: float = 600.0  # until a request is answered, its wait included
    silent_seconds: float = 300.0  # until a worker that says nothing counts as stuck


@dataclass(frozen=True)
class Serving:
    """A server's settings."""

    checkpoint: Path
    name: str  # of the model
    image_tokenizer: Path | None = None
    host: str = LOOPBACK[0]
    port: int = 8000
    key: str | None = None  # None asks for none
    domains: tuple[str, ...] = ()  # images may be fetched from
    device: str = "auto"
    workers: int = 1
    slots: int = 8  # images that a worker draws together with guidance; of other answers it makes twice as many
    batch_invariant: bool = True
    limits: Limits = field(default_factory=Limits)
