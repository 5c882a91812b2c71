"""Files that hashes may be remembered of, and which of them were read."""

import os
from pathlib import Path

import pytest

from unix_lib.artefacts.files import sha256_of
from unix_lib.config import file_hashes

OLD = 1_600_000_000  # seconds


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were read."""
    read: list[str] = []

    def counted(path: Path) -> str:
        read.append(path.name)
        return sha256_of(path)

    monkeypatch.setattr(file_hashes, "sha256_of", counted)
    return read


def write(path: Path, text: str, modified: float | None = OLD) -> Path:
    """A file, written long ago unless `modified` is None."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if modified is not None:
        os.utime(path, (modified, modified))
    return path
