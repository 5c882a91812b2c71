"""What is judged before anything is computed: keys, bodies while they arrive, what is held, tokens of prompts."""

import asyncio
import hmac
from typing import TypeVar

from pydantic import ValidationError
from starlette.requests import Request
from tokenizers import Tokenizer

from unix_lib.serve.errors import ApiError, of_validation
from unix_lib.serve.messages import Facts
from unix_lib.serve.schemas import Asked
from unix_lib.serve.settings import Limits

Body = TypeVar("Body", bound=Asked)
BUSY_SECONDS = 5  # a client is asked to wait


def check_key(request: Request, key: str | None) -> None:
    """Refuse whoever has not the key.

    Raises:
        ApiError: 401.
    """
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if key is not None and not (
        scheme.lower() == "bearer" and hmac.compare_digest(given.encode("latin-1"), key.encode())
    ):
        raise ApiError(401, "this server asks for a key: Authorization: Bearer ...", code="invalid_api_key")


class Held:
    """Bytes of bodies and pixels that all requests hold together."""

    def __init__(self, most: int) -> None:
        self.most, self.bytes = most, 0

    def take(self, count: int) -> None:
        """Hold more.

        Raises:
            ApiError: 429, there is too much.
        """
        if self.bytes + count > self.most:
            raise busy("the server holds as many bytes of requests as it may")
        self.bytes += count


class Share:
    """What one request holds, given back at the end of the `with`."""

    def __init__(self, held: Held) -> None:
        self.held, self.bytes = held, 0

    def take(self, count: int) -> None:
        """Hold more; raises as `Held.take`."""
        self.held.take(count)
        self.bytes += count

    def __enter__(self) -> "Share":
        return self

    def __exit__(self, *_: object) -> None:
        self.held.bytes -= self.bytes


def busy(why: str) -> ApiError:
    """The refusal of a server that is full; a client may come again."""
    return ApiError(429, f"{why}; come again later", code="server_busy", wait=BUSY_SECONDS)


async def read_body(request: Request, kind: type[Body], limits: Limits, share: Share) -> Body:
    """A body, counted while it arrives.

    Raises:
        ApiError: too large (413), not JSON by its header (415), too slow (408), too much together (429), or not what
            `kind` says (400). ClientDisconnect: nobody is there any more.
    """
    kind_of_body = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind_of_body != "application/json":  # also keeps out what another site's page can post from a user's browser
        raise ApiError(415, "give the body as Content-Type: application/json", code="unsupported_media_type")
    too_large = ApiError(413, f"a body has at most {limits.body_bytes} bytes", code="request_too_large")
    if int(request.headers.get("content-length", "0")) > limits.body_bytes:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for chunk in request.stream():
                if len(body) + len(chunk) > limits.body_bytes:
                    raise too_large
                share.take(len(chunk))
                body += chunk
    except TimeoutError:
        raise ApiError(408, f"the body did not arrive within {limits.body_seconds:g} s", code="body_timeout") from None
    try:
        return kind.model_validate_json(bytes(body))
    except ValidationError as error:
        raise of_validation(error) from None


class PromptLimit:
    """How long a prompt may be, counted here by the checkpoint's tokenizer, so that nothing waits to be refused."""

    def __init__(self, facts: Facts) -> None:
        self.positions, self.image_length = facts.positions, facts.image_length
        self.tokenizer = Tokenizer.from_str(facts.tokenizer)
        self.longest = max(map(len, self.tokenizer.get_vocab()), default=1)  # characters of a token

    async def check(self, texts: list[str], images: int, answer: int, param: str) -> None:
        """Refuse what can't fit; the worker, which knows each token, may still refuse what passes here.

        Args:
            images: that the prompt has. answer: tokens that must have room behind it.

        Raises:
            ApiError: 400, context_length_exceeded.
        """
        least = images * self.image_length + answer
        least += sum(len(text.encode()) for text in texts) // self.longest
        if least <= self.positions:  # else it is too long whatever its tokens are
            least = images * self.image_length + answer
            least += await asyncio.to_thread(lambda: sum(len(self.tokenizer.encode(text).ids) for text in texts))
        if least > self.positions:
            message = f"{param}: at least {least} tokens with the answer's, more than the model's {self.positions}"
            raise ApiError(400, message, param=param, code="context_length_exceeded")
