"""Asks the hub again where an answer fails to come, and says in one line what it says."""

import time
from collections.abc import Callable
from typing import TypeVar

from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from unix_lib.artefacts.errors import UserError

WAITS = (1.0, 5.0, 20.0)  # seconds before something is asked again
# What the hub answers, and would again.
ANSWERS = (
    HFValidationError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

Given = TypeVar("Given")


class FetchError(UserError):
    """A download that failed or came out different from what was pinned."""


def asked(ask: Callable[[], Given]) -> Given:
    """What `ask` gives, tried again where it fails.

    Raises:
        FetchError: says why in the end, in the client's words.
    """
    for wait in (*WAITS, None):
        try:
            return ask()
        except Exception as error:  # whatever the network, the hub or the disk does, and the client raises of it
            if wait is None or isinstance(error, ANSWERS):
                raise FetchError(_said(error)) from None
            time.sleep(wait)
    raise AssertionError


def _said(error: Exception) -> str:
    told = " ".join(str(error).split())[:300]
    if isinstance(error, GatedRepoError):
        return f"its owner gives access to those who ask only: ask on its page, then `hf auth login` ({told})"
    return told
