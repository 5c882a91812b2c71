"""Starts a server: its address first, then its workers, and only when those are ready does it listen."""

import resource
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress

import uvicorn

from unix_lib.serve.app import make_app
from unix_lib.serve.endpoints import Service
from unix_lib.serve.metrics import Metrics
from unix_lib.serve.pool import Pool
from unix_lib.serve.process import Launch
from unix_lib.serve.settings import ServeError, Serving

BACKLOG = 4096  # connections that the kernel keeps until they are taken


async def serve(serving: Serving, launches: Sequence[Launch], ready: Callable[[str], None]) -> None:
    """Serve until a signal ends it.

    Args:
        ready: told the address.

    Raises:
        ServeError: the address is taken, or a worker can't start.
    """
    _allow_connections()
    with _bound(serving.host, serving.port) as listener:
        pool = Pool(launches, serving.slots, serving.limits, Metrics(serving.name))
        try:
            facts = await pool.start()
            app = make_app(Service(serving, pool, facts))
            config = uvicorn.Config(
                app, log_config=None, backlog=BACKLOG, lifespan="off", server_header=False, timeout_graceful_shutdown=2
            )
            listener.listen(BACKLOG)  # who connects from now on waits for the first turn of the loop
            host, port = listener.getsockname()[:2]
            ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")
            await uvicorn.Server(config).serve(sockets=[listener])
        finally:
            await pool.stop()


def _bound(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        return listener
    except OSError as error:
        raise ServeError(f"{host}:{port}: can't be listened at ({error.strerror}); give another --port") from None


def _allow_connections() -> None:
    """As many open files as the system lets this user have: each client that waits is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
