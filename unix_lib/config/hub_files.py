"""Files of the hub: where a copy lies here, and those that are read over HTTP, named like paths and opened like them.

What does not come is an error and never an end: a reader that takes a file for damaged where it breaks off must not see
a connection that broke. The hub's client asks several times before it gives up.
"""

import io
import os
import re
from fnmatch import translate
from functools import cache
from pathlib import Path, PosixPath, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, cast

from unix_lib.artefacts.errors import UserError

if TYPE_CHECKING:
    from huggingface_hub import HfFileSystem

BLOCK = 1 << 23  # bytes that are asked for at a time
REMEDY = "run where there is a network, or take out `streaming` and let `unix-lib fetch` bring the files"


class StreamError(UserError):
    """A file of the hub that can't be read, or not to its end; no words of it are in what jobs write."""


class HubFile(PosixPath):
    """A file of a data set's revision: what readers of files ask of a path."""

    size: int

    @classmethod
    def at(cls, repository: str, revision: str, name: str, size: int) -> "HubFile":
        """The file `name` of a data set of the hub, which has so many bytes."""
        file = cls(cls.folder(repository, revision), name)
        file.size = size
        return file

    @staticmethod
    def folder(repository: str | None, revision: str | None) -> str:
        """What the files of a revision lie below."""
        return f"datasets/{repository}@{revision}"

    def open(self, mode: str = "rb", *_: Any, **__: Any) -> IO[bytes]:  # type: ignore[override]
        """Its bytes.

        Raises:
            StreamError: there is no network, or the hub does not give the file.
        """
        require_network(str(self))
        return cast("IO[bytes]", io.BufferedReader(_Stream(self), 1 << 16))


def hub_snapshot(repository: str, revision: str) -> Path:
    """Folder of a data set's revision in the hub's cache, whether it is there or not; huggingface_hub's own layout."""
    home = Path(os.getenv("HF_HOME", Path(os.getenv("XDG_CACHE_HOME", "~/.cache"), "huggingface")))
    cache = os.getenv("HF_HUB_CACHE", os.getenv("HUGGINGFACE_HUB_CACHE", str(home / "hub")))
    whole = Path(os.path.expandvars(Path(cache).expanduser()))
    return whole / f"datasets--{repository.replace('/', '--')}" / "snapshots" / revision


def openable(path: Path) -> Path | IO[bytes]:
    """What a library takes that opens local files by itself, faster than through Python."""
    return path.open("rb") if isinstance(path, HubFile) else path


def require_network(what: str) -> None:
    """Refuse to stream in a process that is to stay offline.

    Raises:
        StreamError: it is.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise StreamError(f"{what} is streamed from the hub, and this process is offline (HF_HUB_OFFLINE); {REMEDY}")


def is_named(name: str, pattern: str) -> bool:
    """Whether a file's name below the top fits a pattern; `**` is any number of folders, `*` no border of one."""
    return _pattern(pattern).fullmatch(name) is not None


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    parts = PurePosixPath(pattern).parts
    texts = ["(?:[^/]+/)*" if part == "**" else _part(part) + "/" * (i < len(parts)) for i, part in enumerate(parts, 1)]
    return re.compile("".join(texts) + ("[^/]+" if parts[-1] == "**" else ""))


def _part(part: str) -> str:
    """A part of a pattern as a regular expression: `fnmatch`'s, in which neither `*` nor `?` is a border."""
    return translate(part).replace(".*", "[^/]*").replace("(?s:.", "(?s:[^/]").removesuffix(r"\Z").removesuffix(r"\z")


def filesystem() -> "HfFileSystem":
    """The hub as a file system."""
    from huggingface_hub import HfFileSystem

    return HfFileSystem()


class _Stream(io.RawIOBase):
    """A file's bytes, read block by block; as long as the lock says, or an error."""

    def __init__(self, file: HubFile) -> None:
        self._name, self._size = str(file), file.size
        try:
            self._file = filesystem().open(str(file), "rb", block_size=BLOCK, cache_type="readahead", size=self._size)
        except Exception as error:  # whatever the client raises of network, hub and rights
            raise self._error(error) from error

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return int(self._file.tell())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._size - self.tell())
        try:
            data = self._file.read(wanted) if wanted > 0 else b""
        except Exception as error:
            raise self._error(error) from error
        if len(data) != max(wanted, 0):
            raise StreamError(f"{self._name}: {len(data)} of {wanted} bytes came; run again")
        buffer[: len(data)] = data
        return len(data)

    def _error(self, error: Exception) -> StreamError:
        return StreamError(f"{self._name}: can't be read from the hub ({type(error).__name__}); run again; {REMEDY}")
