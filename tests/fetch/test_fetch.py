"""Fetching: files from a server of the test's own, checked by hash; needs listed with what is missing."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from unix_lib.config import load_experiment
from unix_lib.config.fetch import FetchedFile, FetchedRepository
from unix_lib.fetch.files import fetch_file
from unix_lib.fetch.hub import FetchError, cached_revision
from unix_lib.fetch.needs import missing_because, needs_of

ROOT = Path(__file__).resolve().parents[2]
CONTENT = b"index\tquestion\n" * 1000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "MME.tsv").write_bytes(CONTENT)
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def item(tmp_path: Path, url: str, sha256: str = hashlib.sha256(CONTENT).hexdigest()) -> FetchedFile:
    return FetchedFile(path=str(tmp_path / "data" / "MME.tsv"), url=url, sha256=sha256, licence="test")


def test_a_file_is_fetched_once_and_checked(server: str, tmp_path: Path) -> None:
    seen: list[int] = []
    path = fetch_file(item(tmp_path, f"{server}/MME.tsv"), lambda done, total: seen.append(done))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == len(CONTENT)
    seen.clear()
    fetch_file(item(tmp_path, f"{server}/MME.tsv"), lambda done, total: seen.append(done))
    assert seen == []


def test_a_wrong_hash_or_address_keeps_nothing(server: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="gave sha256"):
        fetch_file(item(tmp_path, f"{server}/MME.tsv", "0" * 64))
    with pytest.raises(FetchError, match="can't be read"):
        fetch_file(item(tmp_path, f"{server}/absent.tsv"))
    assert list((tmp_path / "data").iterdir()) == []


def test_the_paper_config_names_all_it_needs() -> None:
    needs = [need.what for need in needs_of(load_experiment(ROOT / "config" / "unix-3b.yaml"))]
    assert any("Qwen/Qwen2.5-3B" in what for what in needs)
    assert any("benchmark mme" in what for what in needs)
    assert any("source images: data/images" in what for what in needs)


def test_a_thing_that_several_need_is_named_once() -> None:
    needs = [need.what for need in needs_of(load_experiment(ROOT / "config" / "ablation-1.5b.yaml"))]
    assert [what for what in needs if "Qwen/Qwen2.5-1.5B" in what] == ["text tokenizer: Qwen/Qwen2.5-1.5B"]
    assert len(needs) == len(set(needs))


def test_what_fetch_puts_into_place_is_not_asked_of_the_user() -> None:
    fetched = {"path": "data/benchmarks/MME.tsv", "url": "http://a/b", "sha256": "0" * 64, "licence": "test"}
    config = load_experiment(ROOT / "config" / "unix-3b.yaml", overrides={"fetch": {"files": [fetched]}})
    needs = [need.what for need in needs_of(config)]
    assert "file data/benchmarks/MME.tsv" in needs and "benchmark mme: data/benchmarks/MME.tsv" not in needs


def test_the_default_experiment_needs_nothing() -> None:
    assert needs_of(load_experiment(ROOT / "config" / "laptop.yaml")) == []


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    needs = {need.what: missing_because(need) for need in needs_of(load_experiment(ROOT / "config" / "unix-3b.yaml"))}
    assert needs["benchmark mme: data/benchmarks/MME.tsv"] == "no such file or folder; put it there"
    assert needs["text tokenizer: Qwen/Qwen2.5-3B"] == "not in the hub's cache"
    (tmp_path / "data" / "benchmarks").mkdir(parents=True)
    (tmp_path / "data" / "benchmarks" / "MME.tsv").touch()
    needs = {need.what: missing_because(need) for need in needs_of(load_experiment(ROOT / "config" / "unix-3b.yaml"))}
    assert needs["benchmark mme: data/benchmarks/MME.tsv"] is None


def test_a_repository_that_is_not_cached_is_none() -> None:
    repository = FetchedRepository(repository="nobody/nothing", revision="0" * 40, licence="test")
    assert cached_revision(repository) is None
