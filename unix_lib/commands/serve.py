"""`serve`: a checkpoint behind an address, in OpenAI's form."""

import asyncio
import logging
import os
from contextlib import suppress

from rich.console import Console

from unix_lib.checkpoints.open import checkpoint_folder
from unix_lib.serve.process import launches
from unix_lib.serve.run import serve
from unix_lib.serve.settings import LOOPBACK, Limits, ServeError, Serving

__all__ = ["Limits", "Serving", "key_from", "run"]


def key_from(variable: str | None) -> str | None:
    """The key that clients must have.

    Raises:
        ServeError: the environment has none where one is named.
    """
    if variable is None:
        return None
    key = os.environ.get(variable)
    if not key:
        raise ServeError(f"set the environment variable {variable} to the key that clients are to give")
    return key


def run(serving: Serving, console: Console) -> int:
    """Serve until Ctrl-C."""
    checkpoint_folder(serving.checkpoint)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if serving.host not in LOOPBACK and serving.key is None:
        console.print(f"{serving.host} is open to other machines, and no key is asked for: give --key-variable")

    def ready(address: str) -> None:
        console.print(f"{serving.name} at {address}/v1, a page to try it at {address}", highlight=False)

    with suppress(KeyboardInterrupt):
        asyncio.run(serve(serving, launches(serving), ready))
    return 0
