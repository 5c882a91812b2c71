"""A repository is fetched file by file: one that fails is tried again, and stops no other."""

from pathlib import Path
from typing import Any

import pytest

from unix_lib.config.hub import UNKNOWN_LICENCE, FetchedRepository
from unix_lib.config.hub_lock import HubLock
from unix_lib.config.needs import Need
from unix_lib.fetch import attempts, hub, listings
from unix_lib.fetch.attempts import FetchError
from unix_lib.fetch.hub import cached_revision, fetch_repository
from unix_lib.fetch.listings import Listing, PublishedFile
from unix_lib.fetch.needs import stated

COMMIT = "c0ffee" + "0" * 34
NAMES = ["a/0.jsonl", "a/1.jsonl", "a/2.jsonl", "b/3.jsonl"]


@pytest.fixture
def repository() -> FetchedRepository:
    return FetchedRepository(repository="owner/rows", revision=COMMIT, patterns=["a/*.jsonl"], licence=UNKNOWN_LICENCE)


@pytest.fixture
def failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often the next downloads of a file fail, in a cache that lies in `tmp_path`."""
    times: dict[str, int] = {}

    def download(_: str, name: str, **__: Any) -> str:
        if times.get(name, 0):
            times[name] -= 1
            raise TimeoutError("no answer")
        path = tmp_path / "snapshot" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        return str(path)

    listing = Listing([PublishedFile(name, len(name)) for name in NAMES], "mit")
    monkeypatch.setattr(attempts, "WAITS", (0.0, 0.0))
    monkeypatch.setattr(hub, "hf_hub_download", download)
    monkeypatch.setattr(hub, "snapshot_download", lambda *_, **__: str(tmp_path / "snapshot"))
    monkeypatch.setattr(listings, "published", lambda _: listing)
    monkeypatch.setattr(hub, "kept", lambda _: listing)
    monkeypatch.setattr(listings, "kept", lambda _: listing)
    return times


def test_a_file_that_fails_is_tried_again_and_stops_no_other(
    repository: FetchedRepository, failing: dict[str, int], tmp_path: Path
) -> None:
    failing |= {"a/0.jsonl": 3, "a/1.jsonl": 2}
    with pytest.raises(FetchError, match=r"1 of 3 files failed.*a/0\.jsonl: no answer"):
        fetch_repository(repository)
    there = {path.relative_to(tmp_path / "snapshot").as_posix() for path in tmp_path.rglob("*.jsonl")}
    assert there == {"a/1.jsonl", "a/2.jsonl"}  # what the patterns name
    assert cached_revision(repository) is None
    told: list[tuple[int, int | None]] = []
    assert fetch_repository(repository, lambda done, total: told.append((done, total))) == tmp_path / "snapshot"
    assert cached_revision(repository) == tmp_path / "snapshot" and told[-1] == (27, 27)
    (tmp_path / "snapshot" / "a" / "2.jsonl").write_text("cut")
    assert cached_revision(repository) is None


def test_patterns_that_name_nothing_are_an_error(repository: FetchedRepository, failing: dict[str, int]) -> None:
    with pytest.raises(FetchError, match="none of its 4 files"):
        fetch_repository(repository.model_copy(update={"patterns": ["c/*"]}))


def test_size_and_licence_are_the_hubs_or_unknown(
    repository: FetchedRepository, failing: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert str(stated(Need("it", repository=repository), HubLock())) == "mit, 0 MB"
    monkeypatch.setattr(listings, "kept", lambda _: None)
    unknown = f"{UNKNOWN_LICENCE}, size unknown"
    assert str(stated(Need("it", repository=repository), HubLock())) == unknown
    assert str(stated(Need("it", task="arc_easy"), HubLock())) == unknown
