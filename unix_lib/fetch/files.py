"""Single files by address and SHA-256: streamed to a temporary name, checked, renamed.

What came before a connection broke is kept under a name with the hash of the whole, and the next time goes on there.
"""

import gzip
import shutil
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import requests
import urllib3

from unix_lib.artefacts.files import CHUNK, atomic_path, sha256_of
from unix_lib.config.fetch import FetchedFile
from unix_lib.fetch.attempts import FetchError

TIMEOUT_SECONDS = 60
AS_IT_IS = {"Accept-Encoding": "identity"}  # a request for the file's own bytes, which not every server heeds

Progress = Callable[[int, int | None], None]


def fetch_file(item: FetchedFile, progress: Progress = lambda done, total: None) -> Path:
    """Download a file unless it is there with the right hash.

    `progress` is called with bytes done and bytes in all (None when the server does not say).

    Raises:
        FetchError: the address can't be read, and what came of it is kept; or the file is not the pinned one.
    """
    path = Path(item.path)
    if path.is_file() and sha256_of(path) == item.sha256:
        return path
    begun = path.with_name(f".{path.name}.{item.sha256[:12]}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        answer = _download(item.url, begun, progress)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise FetchError(f"{item.path}: {item.url} can't be read ({error}); check the address and try again") from None
    with atomic_path(path) as temporary:
        begun.replace(temporary)
        sent = f"{temporary.stat().st_size:,} bytes of {answer.get('Content-Type', 'no said type')}"
        # In transit the pinned file may be compressed, or be a compressed file itself: its hash tells.
        if sha256_of(temporary) != item.sha256 and (encoding := answer.get("Content-Encoding")):
            _unpack(item, temporary, encoding)
        found = sha256_of(temporary)
        if found != item.sha256:
            raise FetchError(
                f"{item.path}: {item.url} gave {sent} with sha256 {found}, the config says {item.sha256}; if that is a "
                "page with an error or cut short, try again or correct the url, else correct the sha256"
            )
    return path


def _download(url: str, begun: Path, progress: Progress) -> Mapping[str, str]:
    """Write the bytes as they are sent, behind those that came before; a connection that ends early is an error.

    Returns:
        The headers of the answer.
    """
    done = begun.stat().st_size if begun.is_file() else 0
    asked = AS_IT_IS | ({"Range": f"bytes={done}-"} if done else {})
    with requests.get(url, stream=True, timeout=TIMEOUT_SECONDS, headers=asked) as response:
        if done and response.status_code == requests.codes.requested_range_not_satisfiable:
            begun.unlink()  # as many bytes as there are, or more
            return _download(url, begun, progress)
        response.raise_for_status()
        goes_on = response.headers.get("Content-Range", "").startswith(f"bytes {done}-")
        done = done if goes_on else 0
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isdecimal() else None
        try:
            with open(begun, "ab" if goes_on else "wb") as file:
                for chunk in response.raw.stream(CHUNK, decode_content=False):
                    file.write(chunk)
                    done += len(chunk)
                    progress(done, total)
        except BaseException:
            if "Content-Encoding" in response.headers:  # which need not be the same bytes the next time
                begun.unlink()
            raise
        return response.headers


def _unpack(item: FetchedFile, path: Path, encoding: str) -> None:
    """Undo the compression in which a server sent a file.

    Raises:
        FetchError: it is none that can be undone here.
    """
    try:
        if encoding.lower() not in ("gzip", "x-gzip"):
            raise gzip.BadGzipFile(f"it is {encoding}")
        with atomic_path(path) as unpacked, gzip.open(path) as packed, open(unpacked, "wb") as file:
            shutil.copyfileobj(packed, file, CHUNK)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise FetchError(
            f"{item.path}: {item.url} is sent compressed and can't be unpacked ({error}); the config may be right: try "
            "again, or take another address of the file"
        ) from None
