"""What the endpoints that make something share: checks in order, answers asked for, whole or as a stream."""

import asyncio
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any, Generic, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from unix_lib.serve.errors import ApiError, refused
from unix_lib.serve.given_images import GivenImages
from unix_lib.serve.limits import Held, PromptLimit, Share, check_key, read_body
from unix_lib.serve.messages import Facts, Order
from unix_lib.serve.pool import Pool, Run
from unix_lib.serve.schemas import Asked
from unix_lib.serve.settings import Serving
from unix_lib.serve.streams import EventStream, until, while_there

Body = TypeVar("Body", bound=Asked)


class Service:
    """What requests share."""

    def __init__(self, serving: Serving, pool: Pool, facts: Facts) -> None:
        self.serving, self.pool, self.facts = serving, pool, facts
        self.held = Held(serving.limits.held_bytes)
        pool.metrics.held.set_function(lambda: self.held.bytes)
        self.arriving = 0  # requests whose bodies are read
        self.prompts = PromptLimit(facts)
        self.images = GivenImages(facts.image_size, serving.domains, serving.limits)

    def check_model(self, name: str | None) -> None:
        """Refuse another model's name.

        Raises:
            ApiError: 404.
        """
        if name is not None and name != self.serving.name:
            message = f"there is no model {name[:100]!r} here, only {self.serving.name!r}"
            raise ApiError(404, message, param="model", code="model_not_found")


class Endpoint(ABC, Generic[Body]):
    """One kind of answer."""

    body: type[Body]

    def __init__(self, service: Service) -> None:
        self.service, self.facts = service, service.facts

    @abstractmethod
    async def orders(self, asked: Body, seed: int, count: int, share: Share) -> list[Order]:
        """`count` answers, with seeds that count up from `seed`.

        Raises:
            ApiError: what is asked for can't be.
        """

    @abstractmethod
    async def whole(self, asked: Body, run: Run) -> dict[str, Any]:
        """The response's body."""

    @abstractmethod
    def events(self, asked: Body, run: Run) -> AsyncIterator[bytes]:
        """The stream's events."""

    async def answer(self, request: Request) -> Response:
        """Serve one request; what it holds is given back when its response has been sent, or can't be."""
        service, limits = self.service, self.service.serving.limits
        check_key(request, service.serving.key)
        service.pool.check_room(service.arriving + 1)
        deadline = asyncio.get_running_loop().time() + limits.seconds
        with ExitStack() as resources:
            share = resources.enter_context(Share(service.held))
            service.arriving += 1
            try:
                asked = await read_body(request, self.body, limits, share)
            finally:
                service.arriving -= 1
            service.check_model(asked.model)
            count = asked.n or 1
            if count > limits.outputs:
                raise refused(f"n: at most {limits.outputs}", "n")
            seed = secrets.randbits(53) if asked.seed is None else asked.seed
            async with until(deadline):
                orders = await while_there(request, self.orders(asked, seed, count, share))
            asked = asked.slim
            run = resources.enter_context(service.pool.submit(orders, deadline))
            if not asked.stream:
                return JSONResponse(await while_there(request, self.whole(asked, run)))
            await while_there(request, run.begin())  # what fails until here is told by the response's status
            return EventStream(self.events(asked, run), deadline, resources.pop_all())
        raise AssertionError  # an ExitStack of these suppresses nothing
