"""Repositories of the Hugging Face hub at a pinned revision, through huggingface_hub's own cache.

The hub's client verifies sizes and resumes downloads; what it kept is hashed again here, against the SHA-256
that the hub publishes for large files.
"""

import shutil
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import atomic_path, sha256_of
from unix_lib.config.fetch import FetchedRepository
from unix_lib.config.folders import files_below


class FetchError(UserError):
    """A download that failed or came out different from what was pinned."""


def cached_revision(repository: FetchedRepository) -> Path | None:
    """Folder of the pinned revision in the hub's cache, or None; never goes online."""
    try:
        return _snapshot(repository, local_files_only=True)
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        return None


def fetch_repository(repository: FetchedRepository) -> Path:
    """Download a revision, check it, and copy it to `folder` if one is named.

    Raises:
        FetchError: the hub can't be reached, the revision does not exist, or a file's SHA-256 is wrong.
    """
    name = f"{repository.type} {repository.repository}@{repository.revision}"
    try:
        folder = _snapshot(repository, local_files_only=False)
        published = HfApi().repo_info(
            repository.repository, revision=repository.revision, repo_type=repository.type, files_metadata=True
        )
    except Exception as error:  # the client's own, and those of the library that it reads addresses with
        raise FetchError(
            f"{name}: {' '.join(str(error).split())[:300]}; run fetch where the hub is reachable"
        ) from None
    for entry in getattr(published, "siblings", None) or []:
        path = folder / entry.rfilename
        if entry.lfs is not None and path.is_file() and sha256_of(path) != entry.lfs.sha256:
            raise FetchError(f"{name}: {entry.rfilename} is damaged; delete {path.resolve()} and fetch again")
    if repository.folder is not None:
        for path in files_below(folder):
            with atomic_path(Path(repository.folder) / path.relative_to(folder)) as temporary:
                shutil.copyfile(path, temporary)  # the contents only: some file systems have no modes
        return Path(repository.folder)
    return folder


def is_in_place(repository: FetchedRepository) -> bool:
    """Whether the pinned revision is in the hub's cache, and in the folder that it is copied to; never goes online."""
    cached = cached_revision(repository)
    if cached is None or repository.folder is None:
        return cached is not None
    copies = {path: Path(repository.folder) / path.relative_to(cached) for path in cached.rglob("*") if path.is_file()}
    return all(copy.is_file() and copy.stat().st_size == path.stat().st_size for path, copy in copies.items())


def _snapshot(repository: FetchedRepository, *, local_files_only: bool) -> Path:
    return Path(
        snapshot_download(
            repository.repository,
            revision=repository.revision,
            repo_type=repository.type,
            allow_patterns=repository.patterns or None,
            local_files_only=local_files_only,
        )
    )
