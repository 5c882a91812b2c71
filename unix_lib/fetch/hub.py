"""Repositories of the Hugging Face hub at a pinned revision, through huggingface_hub's own cache.

The hub's client verifies sizes and resumes downloads; what it kept is hashed again here, against the SHA-256
that the hub publishes for large files.
"""

import shutil
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import sha256_of
from unix_lib.config.fetch import FetchedRepository


class FetchError(UserError):
    """A download that failed or came out different from what was pinned."""


def cached_revision(repository: FetchedRepository) -> Path | None:
    """Folder of the pinned revision in the hub's cache, or None; never goes online."""
    try:
        return _snapshot(repository, local_files_only=True)
    except (LocalEntryNotFoundError, OSError):
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
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise FetchError(
            f"{name}: {' '.join(str(error).split())[:300]}; run fetch where the hub is reachable"
        ) from None
    for entry in getattr(published, "siblings", None) or []:
        path = folder / entry.rfilename
        if entry.lfs is not None and path.is_file() and sha256_of(path) != entry.lfs.sha256:
            raise FetchError(f"{name}: {entry.rfilename} is damaged; delete {path.resolve()} and fetch again")
    if repository.folder is not None:
        shutil.copytree(folder, repository.folder, dirs_exist_ok=True)
        return Path(repository.folder)
    return folder


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
