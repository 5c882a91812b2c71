"""Answers on their way to a client: waited for while the client is there, or streamed as server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import ExitStack, asynccontextmanager
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from unix_lib.serve.errors import ApiError

Result = TypeVar("Result")
SLOW_SECONDS = 30.0  # beyond a request's deadline, for a client that reads slowly


class Gone(Exception):
    """The client is not there any more."""


@asynccontextmanager
async def until(deadline: float) -> AsyncIterator[None]:
    """Do something before a deadline, by the event loop's clock.

    Raises:
        ApiError: 504, it passed.
    """
    try:
        async with asyncio.timeout_at(deadline):
            yield
    except TimeoutError:
        raise ApiError(504, "no answer within the time a request has", code="deadline_exceeded") from None


def event(data: dict[str, Any], name: str | None = None) -> bytes:
    """One server-sent event."""
    head = "" if name is None else f"event: {name}\n"
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


async def while_there(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """What `work` gives; it is cancelled when the client leaves. The body must have been read.

    Raises:
        Gone: the client left.
    """
    task = asyncio.create_task(work)
    left = asyncio.create_task(_leaves(request.receive))
    try:
        await asyncio.wait([task, left], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Gone
        return task.result()
    finally:
        await _cancelled(task, left)


class EventStream(Response):
    """Events as they come; ends when the client leaves, or reads too slowly."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[bytes], deadline: float, resources: ExitStack) -> None:
        """Nothing is sent yet.

        Args:
            events: may raise `ApiError`, which becomes the last event.
            deadline: by the event loop's clock.
            resources: closed at the end, however it ends.
        """
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self.events, self.deadline, self.resources = events, deadline, resources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        tasks = [asyncio.create_task(self._send(send)), asyncio.create_task(_leaves(receive))]
        left = self.deadline + SLOW_SECONDS - asyncio.get_running_loop().time()
        try:
            done, _ = await asyncio.wait(tasks, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # a fault of the server's own is told to whoever reads the log
        finally:
            await _cancelled(*tasks)
            self.resources.close()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async for data in self.events:
                await send({"type": "http.response.body", "body": data, "more_body": True})
        except ApiError as error:
            await send({"type": "http.response.body", "body": event(error.body), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _leaves(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancelled(*tasks: "asyncio.Task[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
