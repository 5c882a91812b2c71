"""Fetching: files from a server of the test's own, checked by hash; needs listed with what is missing."""

import gzip
import hashlib
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from unix_lib.config import load_experiment
from unix_lib.config.fetch import FetchedFile
from unix_lib.config.hub import FetchedRepository
from unix_lib.config.needs import Need
from unix_lib.fetch.attempts import FetchError
from unix_lib.fetch.files import fetch_file
from unix_lib.fetch.hub import cached_revision, fetch_repository
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
    with pytest.raises(FetchError, match=r"with sha256 .*, the config says 0000"):
        fetch_file(item(tmp_path, f"{server}/MME.tsv", "0" * 64))
    with pytest.raises(FetchError, match="can't be read"):
        fetch_file(item(tmp_path, f"{server}/absent.tsv"))
    assert list((tmp_path / "data").iterdir()) == []


PACKED = gzip.compress(CONTENT)
GZIP = {"Content-Encoding": "gzip"}
PAGE = b"<html>Please log in</html>"


@contextmanager
def answering(content: bytes, headers: dict[str, str]) -> Iterator[str]:
    """A server that answers every request so, whatever it was asked for; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302 if self.path == "/moved" else 200)
            for name, value in {"Location": "/", "Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.mark.parametrize(
    ("pinned", "content", "headers"),
    [(CONTENT, PACKED, GZIP), (PACKED, PACKED, GZIP), (CONTENT, PACKED, {"Content-Encoding": "X-GZip"})],
    ids=["packed in transit", "a packed file", "by its old name"],
)
@pytest.mark.parametrize("path", ["", "/moved"])
def test_a_file_sent_compressed_is_the_pinned_one(
    tmp_path: Path, pinned: bytes, content: bytes, headers: dict[str, str], path: str
) -> None:
    with answering(content, headers) as address:
        fetched = fetch_file(item(tmp_path, address + path, hashlib.sha256(pinned).hexdigest()))
    assert fetched.read_bytes() == pinned
    assert [file.name for file in fetched.parent.iterdir()] == ["MME.tsv"]


@pytest.mark.parametrize(
    ("content", "headers", "told"),
    [
        (b"compressed otherwise", {"Content-Encoding": "br"}, "sent compressed .*it is br.*the config may be right"),
        (PACKED[:-20], GZIP, "sent compressed and can't be unpacked"),
        (CONTENT + b"x", GZIP, "sent compressed and can't be unpacked"),
        (PACKED[:-9], {"Content-Length": str(len(PACKED)), **GZIP}, "can't be read .*IncompleteRead"),
        (PAGE, {"Content-Type": "text/html"}, "26 bytes of text/html .* page with an error"),
    ],
    ids=["brotli", "cut inside", "not packed at all", "cut short", "a page"],
)
def test_another_answer_is_named_and_not_kept(
    tmp_path: Path, content: bytes, headers: dict[str, str], told: str
) -> None:
    with answering(content, headers) as address, pytest.raises(FetchError, match=told):
        fetch_file(item(tmp_path, address))
    assert list((tmp_path / "data").iterdir()) == []


def test_a_file_that_broke_off_goes_on_where_it_was(tmp_path: Path) -> None:
    asked: list[str | None] = []
    content = [CONTENT]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """All from where it is asked for; the first time two thirds, then the line breaks."""
            asked.append(self.headers["Range"])
            begin = int((asked[-1] or "bytes=0-")[6:-1])
            if begin > len(content[0]):
                self.send_response(416)
                self.end_headers()
                return
            self.send_response(206 if begin else 200)
            rest = content[0][begin:]
            for name, value in {
                "Content-Length": str(len(rest)),
                "Content-Range": f"bytes {begin}-{len(content[0]) - 1}/{len(content[0])}",
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(rest[:10_000] if len(asked) == 1 else rest)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        wanted = item(tmp_path, f"http://127.0.0.1:{running.server_port}/MME.tsv")
        with pytest.raises(FetchError, match=r"can't be read .*IncompleteRead"):
            fetch_file(wanted)
        seen: list[tuple[int, int | None]] = []
        assert fetch_file(wanted, lambda done, total: seen.append((done, total))).read_bytes() == CONTENT
        assert asked == [None, "bytes=10000-"] and seen[-1] == (len(CONTENT), len(CONTENT))
        # What was begun is longer than the file is: it is no part of it.
        Path(wanted.path).unlink()
        begun = Path(wanted.path).with_name(f".MME.tsv.{wanted.sha256[:12]}.part")
        begun.write_bytes(CONTENT * 2)
        assert fetch_file(wanted).read_bytes() == CONTENT
        # And what it is continued with makes another file: nothing of it is kept.
        Path(wanted.path).unlink()
        begun.write_bytes(b"another beginning")
        with pytest.raises(FetchError, match="with sha256"):
            fetch_file(wanted)
        running.shutdown()
    assert list((tmp_path / "data").iterdir()) == []


def test_a_name_that_no_hub_has_is_told_in_one_line() -> None:
    repository = FetchedRepository(repository="a b/c", revision="0" * 40, licence="test")
    assert missing_because(Need("it", repository=repository)) == "not in the hub's cache"
    with pytest.raises(FetchError, match=r"dataset a b/c@0000.*Repo id must"):
        fetch_repository(repository)


def test_a_copy_of_a_repository_that_was_cut_short_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached, folder = tmp_path / "cached", tmp_path / "folder"
    (cached / "inner").mkdir(parents=True)
    (cached / "inner" / "model.bin").write_bytes(CONTENT)
    monkeypatch.setattr("unix_lib.fetch.hub.cached_revision", lambda repository: cached)
    repository = FetchedRepository(repository="a/b", revision="0" * 40, licence="test", folder=str(folder))
    missing = f"not in the hub's cache or not in {folder}"
    assert missing_because(Need("it", repository=repository)) == missing
    shutil.copytree(cached, folder)
    assert missing_because(Need("it", repository=repository)) is None
    (folder / "inner" / "model.bin").write_bytes(CONTENT[:-1])
    assert missing_because(Need("it", repository=repository)) == missing


def test_the_paper_config_names_all_it_needs() -> None:
    needs = [need.what for need in needs_of(load_experiment(ROOT / "config" / "unix-3b.yaml"))]
    assert any("Qwen/Qwen2.5-3B" in what for what in needs)
    assert any("benchmark mme" in what for what in needs)
    assert any("source fineweb: HuggingFaceFW/fineweb-edu" in what for what in needs)
    assert {"source minigemini: YanweiLi/MGM-Instruction", "source minigemini: data/minigemini"} <= set(needs)


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
