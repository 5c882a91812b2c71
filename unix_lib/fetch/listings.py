"""What a revision on the Hugging Face hub holds, as the hub says it: its commit, files, sizes, hashes and licence.

Kept beside the revision in the hub's cache, sealed, so that it is known offline which files are still missing.
"""

import contextlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils._paths import filter_repo_objects

from unix_lib.artefacts.files import write_text
from unix_lib.artefacts.sealed import SealError, open_sealed, sealed_text
from unix_lib.config.hub import FetchedRepository
from unix_lib.fetch.attempts import FetchError, asked

TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class PublishedFile:
    """A file of a revision; None is what the hub does not say."""

    path: str
    bytes: int | None = None
    sha256: str | None = None  # of large files only


@dataclass(frozen=True)
class Listing:
    """All files of a revision."""

    files: list[PublishedFile] = field(default_factory=list)
    licence: str | None = None
    commit: str | None = None
    gated: bool = False  # whether its owner gives access to those who ask only

    def chosen(self, repository: FetchedRepository) -> list[PublishedFile]:
        """Those that the patterns name, all without patterns."""
        patterns = repository.patterns or None
        return list(filter_repo_objects(self.files, allow_patterns=patterns, key=lambda file: file.path))

    def size(self, repository: FetchedRepository) -> int | None:
        """Bytes of those that the patterns name; None where that of one is unknown."""
        sizes = [file.bytes for file in self.chosen(repository)]
        return None if None in sizes else sum(size for size in sizes if size is not None)


def published(repository: FetchedRepository) -> Listing:
    """What the hub says of a revision, the default branch's where none is named; raises whatever its client does."""
    found: Any = HfApi().repo_info(
        repository.repository,
        revision=repository.revision,
        repo_type=repository.type,
        files_metadata=True,
        timeout=TIMEOUT_SECONDS,
    )
    files = [
        PublishedFile(entry.rfilename, entry.size, None if entry.lfs is None else entry.lfs.sha256)
        for entry in found.siblings or []
    ]
    licences = [tag.removeprefix("license:") for tag in found.tags or [] if tag.startswith("license:")]
    listing = Listing(files, ", ".join(licences) or None, found.sha, bool(getattr(found, "gated", False)))
    with contextlib.suppress(OSError):  # of a cache that is read-only
        write_text(_place(repository, found.sha), sealed_text(asdict(listing), indent=None))
    return listing


def listed(repository: FetchedRepository) -> Listing:
    """Like `published`, tried again where the hub does not answer.

    Raises:
        FetchError: it can't be reached, has no such repository or revision, or no file that the patterns name.
    """
    try:
        listing = asked(lambda: published(repository))
    except FetchError as error:
        raise FetchError(f"{repository}: {error}; run fetch where the hub is reachable") from None
    if not listing.chosen(repository):
        patterns = ", ".join(repository.patterns) or "any pattern"
        raise FetchError(f"{repository}: none of its {len(listing.files)} files is named by {patterns}")
    return listing


def kept(repository: FetchedRepository) -> Listing | None:
    """What the hub said when it was asked last; None where it never was, or that is damaged."""
    try:
        values, proven = open_sealed(_place(repository, repository.revision), "")
        files = [PublishedFile(**file) for file in values.pop("files")]
        return Listing(files, **values) if proven else None
    except (OSError, SealError, KeyError, TypeError):
        return None


def _place(repository: FetchedRepository, commit: str | None) -> Path:
    folder = repo_folder_name(repo_id=repository.repository, repo_type=repository.type)
    return Path(constants.HF_HUB_CACHE) / folder / f"unix-listing-{commit}.json"
