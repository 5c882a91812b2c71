"""Repositories of the Hugging Face hub at a pinned revision, file by file, through huggingface_hub's own cache.

The hub's client verifies sizes and resumes a file that was cut off; what it kept is hashed again here, against the
SHA-256 that the hub publishes for large files. A file that fails is tried again, and stops no other.
"""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from huggingface_hub import hf_hub_download, snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

from unix_lib.artefacts.files import atomic_path, sha256_of
from unix_lib.config.folders import files_below
from unix_lib.config.hub import FetchedRepository
from unix_lib.fetch.attempts import FetchError, asked
from unix_lib.fetch.listings import PublishedFile, kept, listed

TOGETHER = 4  # files
SHOWN = 5  # of those that failed

Progress = Callable[[int, int | None], None]


def cached_revision(repository: FetchedRepository) -> Path | None:
    """Folder of the pinned revision in the hub's cache, or None where a file of it is missing; never goes online.

    Which files there are is known when the hub was asked before; else the folder is taken as it is.
    """
    try:
        folder = Path(
            snapshot_download(
                repository.repository, revision=repository.revision, repo_type=repository.type, local_files_only=True
            )
        )
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        return None
    listing = kept(repository)
    for file in listing.chosen(repository) if listing else ():
        path = folder / file.path
        if not path.is_file() or file.bytes not in (None, path.stat().st_size):
            return None
    return folder


def fetch_repository(repository: FetchedRepository, progress: Progress = lambda done, total: None) -> Path:
    """Download the files of a revision that its patterns name, check them, and copy them to `folder` if one is named.

    `progress` is called with the bytes of the files that are done and of all (None where the hub does not say).

    Raises:
        FetchError: the hub can't be reached, the revision does not exist, no file of it is named by the patterns, or
            some files could not be fetched, while all the others were.
    """
    listing = listed(repository)
    files, total, done = listing.chosen(repository), listing.size(repository), 0
    failed = []
    folder: Path | None = None
    with ThreadPoolExecutor(TOGETHER) as pool:
        for file, (path, fault) in zip(files, pool.map(lambda file: _fetched(repository, file), files), strict=True):
            if path is None:
                failed.append(f"{file.path}: {fault}")
            else:
                folder = path.parents[len(Path(file.path).parts) - 1]
                done += file.bytes or 0
                progress(done, total)
    if failed or folder is None:
        more = f"; and {len(failed) - SHOWN} more" * (len(failed) > SHOWN)
        raise FetchError(
            f"{repository}: {len(failed)} of {len(files)} files failed, run fetch again, which goes on with them: "
            f"{'; '.join(failed[:SHOWN])}{more}"
        )
    if repository.folder is not None:
        for file in files:
            with atomic_path(Path(repository.folder) / file.path) as temporary:
                shutil.copyfile(folder / file.path, temporary)  # the contents only: some file systems have no modes
        return Path(repository.folder)
    return folder


def is_in_place(repository: FetchedRepository) -> bool:
    """Whether the pinned revision is in the hub's cache, and in the folder that it is copied to; never goes online."""
    cached = cached_revision(repository)
    if cached is None or repository.folder is None:
        return cached is not None
    copies = {path: Path(repository.folder) / path.relative_to(cached) for path in files_below(cached)}
    return all(copy.is_file() and copy.stat().st_size == path.stat().st_size for path, copy in copies.items())


def _fetched(repository: FetchedRepository, file: PublishedFile) -> tuple[Path | None, str]:
    """Path of a file in the cache; or None, and why it could not be fetched."""

    def download() -> Path:
        path = Path(
            hf_hub_download(repository.repository, file.path, revision=repository.revision, repo_type=repository.type)
        )
        if file.sha256 in (None, sha256_of(path)):
            return path
        fault = f"it was damaged, and is removed from {path.resolve()}"
        path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise FetchError(fault)

    try:
        return asked(download), ""
    except FetchError as error:
        return None, str(error)  # the other files go on
