"""POST /v1/chat/completions: texts and images in, text out, and images where `modalities` asks for them."""

import base64
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

from unix_lib.serve.endpoints import Endpoint
from unix_lib.serve.errors import refused
from unix_lib.serve.limits import Share
from unix_lib.serve.messages import Answer, Begun, ChatOrder, Ended, Order, Picture, Text, Turn
from unix_lib.serve.pool import Run
from unix_lib.serve.schemas import ChatAsked
from unix_lib.serve.streams import event


class Chat(Endpoint[ChatAsked]):
    """Answers to a chat."""

    body = ChatAsked

    async def orders(self, asked: ChatAsked, seed: int, count: int, share: Share) -> list[Order]:
        parts = [
            (part, f"messages[{turn}].{place}")
            for turn, message in enumerate(asked.messages)
            for place, part in message.placed_parts
        ]
        given, texts = sum(part.type == "image_url" for part, _ in parts), [part.text or "" for part, _ in parts]
        most = self.service.serving.limits.images
        if given > most:
            raise refused(f"messages: {given} images, more than {most}", "messages", "too_many_images")
        if not given and not any(text.strip() for text in texts):
            raise refused("messages: there is nothing to answer", "messages")
        with_images = "image" in (asked.modalities or ())
        if with_images and self.facts.image_size is None:
            raise refused("modalities: the model draws no images", "modalities", "unsupported_model")
        await self.service.prompts.check(texts, given, 1, "messages")
        turns = []
        for turn, message in enumerate(asked.messages):
            content: list[Any] = []
            for place, part in message.placed_parts:
                if part.image_url is None:
                    content.append(part.text)
                else:
                    param = f"messages[{turn}].{place}.image_url.url"
                    content.append(await self.service.images.read(part.image_url.url, param, share))
            turns.append(Turn("system" if message.role == "developer" else message.role, tuple(content)))
        most_tokens = asked.max_completion_tokens or asked.max_tokens or self.service.serving.limits.answer_tokens
        text = asked.given("temperature", "top_k", "top_p") | {
            "most_tokens": most_tokens,
            "least_tokens": asked.min_tokens,
        }
        image = asked.given("guidance_scale") if with_images else None
        stop = tuple(asked.stop or ())
        return [ChatOrder(0, tuple(turns), seed + index, text, image, stop) for index in range(count)]

    async def whole(self, asked: ChatAsked, run: Run) -> dict[str, Any]:
        usage, choices = _Usage(), [_Choice(index) for index in range(len(run.index))]
        while (message := await run.next()) is not None:
            usage.hear(message)
            choices[run.index[message.key]].hear(message)
        with_images = "image" in (asked.modalities or ())
        made = [choice.as_dict(with_images=with_images) for choice in choices]
        return self._head("chat.completion") | {"choices": made, "usage": usage.as_dict()}

    async def events(self, asked: ChatAsked, run: Run) -> AsyncIterator[bytes]:
        usage, head = _Usage(), self._head("chat.completion.chunk")
        drawn = dict.fromkeys(run.index, 0)

        def chunk(key: int, delta: dict[str, Any], finished: str | None = None) -> bytes:
            choice = {"index": run.index[key], "delta": delta, "logprobs": None, "finish_reason": finished}
            return event(head | {"choices": [choice]})

        while (message := await run.next()) is not None:
            usage.hear(message)
            if isinstance(message, Begun):
                yield chunk(message.key, {"role": "assistant", "content": ""})
            elif isinstance(message, Text):
                yield chunk(message.key, {"content": message.text})
            elif isinstance(message, Picture):
                yield chunk(message.key, {"images": [_image(message.data, drawn[message.key])]})
                drawn[message.key] += 1
            elif isinstance(message, Ended):
                yield chunk(message.key, {}, message.finished)
        if asked.stream_options is not None and asked.stream_options.include_usage:
            yield event(head | {"choices": [], "usage": usage.as_dict()})
        yield b"data: [DONE]\n\n"

    def _head(self, kind: str) -> dict[str, Any]:
        name = self.service.serving.name
        return {"id": f"chatcmpl-{secrets.token_hex(12)}", "object": kind, "created": int(time.time()), "model": name}


class _Choice:
    """One of the n answers."""

    def __init__(self, index: int) -> None:
        self.index, self.finished = index, "stop"
        self.texts: list[str] = []
        self.images: list[dict[str, Any]] = []

    def hear(self, message: Answer) -> None:
        if isinstance(message, Text):
            self.texts.append(message.text)
        elif isinstance(message, Picture):
            self.images.append(_image(message.data, len(self.images)))
        elif isinstance(message, Ended):
            self.finished = message.finished

    def as_dict(self, *, with_images: bool) -> dict[str, Any]:
        message = {"role": "assistant", "content": "".join(self.texts).strip(), "refusal": None}
        images = {"images": self.images} if with_images else {}
        return {"index": self.index, "message": message | images, "logprobs": None, "finish_reason": self.finished}


class _Usage:
    """Tokens of the prompt, once, and of all answers."""

    def __init__(self) -> None:
        self.prompt, self.made = 0, 0

    def hear(self, message: Answer) -> None:
        if isinstance(message, Begun):
            self.prompt = message.prompt_tokens
        elif isinstance(message, Ended):
            self.made += message.tokens

    def as_dict(self) -> dict[str, int]:
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.made,
            "total_tokens": self.prompt + self.made,
        }


def _image(data: bytes, index: int) -> dict[str, Any]:
    url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return {"type": "image_url", "index": index, "image_url": {"url": url}}
