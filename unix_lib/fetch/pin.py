"""Pins what a config names of the hub: asks for commits, files, sizes and licences, which the lock then holds."""

from collections.abc import Sequence
from datetime import date

from unix_lib.config.hub_lock import LockedRepository
from unix_lib.config.needs import Need
from unix_lib.fetch.attempts import FetchError
from unix_lib.fetch.listings import listed


def pin(need: Need, before: Sequence[LockedRepository], today: date) -> LockedRepository:
    """The lock's entry of a need, which is a repository; what the hub does not state of it is null.

    Args:
        before: entries whose commits are kept, also for other files of the same repository.

    Raises:
        FetchError: see `fetch.listings.listed`.
    """
    wanted = need.repository
    assert wanted is not None
    name = (wanted.repository, wanted.type, wanted.revision)
    commits = [one.revision for one in before if (one.repository, one.type, one.asked) == name]
    try:
        listing = listed(wanted.model_copy(update={"revision": commits[0]}) if commits else wanted)
    except FetchError as error:
        remedy = "; or take it out of the lock, which pins another commit" if commits else ""
        raise FetchError(f"{error}{remedy}") from None
    return LockedRepository(
        needed_for=[need.what],
        repository=wanted.repository,
        type=wanted.type,
        asked=wanted.revision,
        patterns=wanted.patterns,
        revision=str(listing.commit),
        licence=listing.licence,
        gated=listing.gated,
        bytes=listing.size(wanted),
        files={file.path: file.bytes for file in sorted(listing.chosen(wanted), key=lambda file: file.path)},
        pinned=today,
    ).sealed()
