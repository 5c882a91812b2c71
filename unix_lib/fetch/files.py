"""Single files by address and SHA-256: streamed to a temporary name, checked, renamed."""

from collections.abc import Callable
from pathlib import Path

import requests

from unix_lib.artefacts.files import CHUNK, atomic_path, sha256_of
from unix_lib.config.fetch import FetchedFile
from unix_lib.fetch.hub import FetchError

TIMEOUT_SECONDS = 60


def fetch_file(item: FetchedFile, progress: Callable[[int, int | None], None] = lambda done, total: None) -> Path:
    """Download a file unless it is there with the right hash.

    `progress` is called with bytes done and bytes in all (None when the server does not say).

    Raises:
        FetchError: the address can't be read, or the file is not the pinned one; nothing is kept then.
    """
    path = Path(item.path)
    if path.is_file() and sha256_of(path) == item.sha256:
        return path
    with atomic_path(path) as temporary:
        try:
            with requests.get(item.url, stream=True, timeout=TIMEOUT_SECONDS) as response:
                response.raise_for_status()
                length = response.headers.get("Content-Length")
                done = 0
                with open(temporary, "wb") as file:
                    for chunk in response.iter_content(CHUNK):
                        file.write(chunk)
                        done += len(chunk)
                        progress(done, int(length) if length else None)
        except requests.RequestException as error:
            raise FetchError(
                f"{item.path}: {item.url} can't be read ({error}); check the address and try again"
            ) from None
        found = sha256_of(temporary)
        if found != item.sha256:
            raise FetchError(
                f"{item.path}: {item.url} gave sha256 {found}, the config says {item.sha256}; correct the wrong one"
            )
    return path
