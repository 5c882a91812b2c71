"""POST /v1/images/generations."""

import base64
import time
from collections.abc import AsyncIterator
from typing import Any

from unix_lib.serve.endpoints import Endpoint
from unix_lib.serve.errors import refused
from unix_lib.serve.limits import Share
from unix_lib.serve.messages import Begun, Ended, ImageOrder, Order, Picture
from unix_lib.serve.pool import Run
from unix_lib.serve.schemas import ImagesAsked
from unix_lib.serve.streams import event


class Images(Endpoint[ImagesAsked]):
    """Images from a prompt."""

    body = ImagesAsked

    async def orders(self, asked: ImagesAsked, seed: int, count: int, share: Share) -> list[Order]:
        size = self.facts.image_size
        if size is None:
            raise refused("the model draws no images", None, "unsupported_model")
        if asked.size not in (None, "auto", f"{size}x{size}"):
            raise refused(f"size: the model draws {size}x{size}", "size")
        await self.service.prompts.check([asked.prompt], 0, self.facts.image_length, "prompt")
        sampling = asked.given("guidance_scale", "temperature", "top_k", "top_p")
        partials, form = (asked.partial_images or 0) if asked.stream else 0, (asked.output_format or "png").upper()
        return [ImageOrder(0, asked.prompt, seed + index, sampling, partials, form) for index in range(count)]

    async def whole(self, asked: ImagesAsked, run: Run) -> dict[str, Any]:
        usage, files = _Usage(), [b""] * len(run.index)
        while (message := await run.next()) is not None:
            usage.hear(message)
            if isinstance(message, Picture):
                files[run.index[message.key]] = message.data
        data = [{"b64_json": _base64(file)} for file in files]
        return {"created": int(time.time()), "data": data, **self._described(asked), "usage": usage.as_dict()}

    async def events(self, asked: ImagesAsked, run: Run) -> AsyncIterator[bytes]:
        usage, described = _Usage(), self._described(asked) | {"created_at": int(time.time())}
        files: dict[int, bytes] = {}
        while (message := await run.next()) is not None:
            usage.hear(message)
            if isinstance(message, Picture) and message.partial is None:
                files[message.key] = message.data
            elif isinstance(message, Picture):
                yield self._event("partial_image", message.data, run.index[message.key], described, message.partial)
            elif isinstance(message, Ended):
                file, index = files.pop(message.key), run.index[message.key]
                yield self._event("completed", file, index, described | {"usage": usage.as_dict()})

    def _event(
        self, name: str, file: bytes, index: int, described: dict[str, Any], partial: int | None = None
    ) -> bytes:
        """`index`, which OpenAI's clients don't know, is the image's place among the n."""
        kind = f"image_generation.{name}"
        more = {} if partial is None else {"partial_image_index": partial}
        return event({"type": kind, "b64_json": _base64(file), "index": index} | more | described, kind)

    def _described(self, asked: ImagesAsked) -> dict[str, Any]:
        size = self.facts.image_size
        form = asked.output_format or "png"
        return {"size": f"{size}x{size}", "quality": "auto", "output_format": form, "background": "opaque"}


class _Usage:
    """Tokens of the prompt, once, and of all images so far."""

    def __init__(self) -> None:
        self.prompt, self.made = 0, 0

    def hear(self, message: object) -> None:
        if isinstance(message, Begun):
            self.prompt = message.prompt_tokens
        if isinstance(message, Ended):
            self.made += message.tokens

    def as_dict(self) -> dict[str, Any]:
        return {
            "input_tokens": self.prompt,
            "input_tokens_details": {"text_tokens": self.prompt, "image_tokens": 0},
            "output_tokens": self.made,
            "output_tokens_details": {"text_tokens": 0, "image_tokens": self.made},
            "total_tokens": self.prompt + self.made,
        }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
