"""A hub of the test's own: as much of the Hugging Face hub's HTTP interface as its clients use to download."""

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlparse

COMMIT = "c0ffee" + "0" * 34
LATER = "decaf" + "0" * 35
Repositories = dict[str, dict[str, bytes]]  # "datasets/owner/name" or "models/owner/name" -> path -> content


@dataclass
class SmallHub:
    """What a hub serves, and how it misbehaves; its state may be changed while it serves.

    Attributes:
        repositories: each with one commit, which every branch and tag is at.
        commit: that one.
        licence: of all repositories.
        gated: repositories that give nothing but their description.
        silent: how many requests for a path, or for a repository's description, get no answer in time.
        cut: how often the bytes of a path end too early.
        asked: requests so far, by path in the repository or "datasets/owner/name".
    """

    repositories: Repositories
    commit: str = COMMIT
    licence: str | None = None
    gated: set[str] = field(default_factory=set)
    silent: dict[str, int] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    address: str = ""

    def happens(self, counts: dict[str, int], name: str) -> bool:
        """Whether it misbehaves now, which happens once less from now on."""
        counts[name] = counts.get(name, 0) - 1
        return counts[name] >= 0


@contextmanager
def small_hub(repositories: Repositories) -> Iterator[str]:
    """Serve repositories, each with one commit; yields the address for HF_ENDPOINT."""
    with serving(SmallHub(repositories)) as hub:
        yield hub.address


@contextmanager
def serving(served: SmallHub) -> Iterator[SmallHub]:
    """Serve a hub; its address is for HF_ENDPOINT."""

    class Handler(_Handler):
        hub = served

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        served.address = f"http://127.0.0.1:{server.server_port}"
        yield served
        server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: SmallHub

    def log_message(self, *_: Any) -> None:
        """Keep the test's output clean."""

    def do_GET(self) -> None:
        parts = unquote(urlparse(self.path).path).strip("/").split("/")
        if parts[0] == "api":
            self._describe(parts[1:])
        else:
            self._file(parts if parts[0] == "datasets" else ["models", *parts])

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """What is said of single paths."""
        parts = unquote(urlparse(self.path).path).strip("/").split("/")
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["paths"]
        files = self.hub.repositories.get("/".join(parts[1:4]), {})
        shown = [entry for entry in _tree(files, "", True) if entry["path"] in asked]
        self._answer(200, json.dumps(shown).encode())

    def _describe(self, parts: list[str]) -> None:
        name, hub = "/".join(parts[:3]), self.hub
        hub.asked[name] += 1
        if hub.happens(hub.silent, name):
            return time.sleep(1)  # longer than the client waits
        files = hub.repositories.get(name)
        if files is None:
            return self._answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        what, revision, rest = parts[3] if len(parts) > 3 else "revision", parts[4:5], "/".join(parts[5:])
        if revision and len(revision[0]) == 40 and revision[0] != hub.commit:
            return self._answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        if what == "tree":
            recursive = "recursive=true" in urlparse(self.path).query.lower()
            return self._answer(200, json.dumps(_tree(files, rest, recursive)).encode())
        siblings = [{"rfilename": path, "size": len(content)} | _lfs(content) for path, content in files.items()]
        tags = [] if hub.licence is None else [f"license:{hub.licence}"]
        described = {"id": "/".join(parts[1:3]), "sha": hub.commit, "private": False, "siblings": siblings}
        described |= {"tags": tags, "gated": "manual" if name in hub.gated else False}
        return self._answer(200, json.dumps(described).encode())

    def _file(self, parts: list[str]) -> None:
        name, path, hub = "/".join(parts[:3]), "/".join(parts[5:]), self.hub
        content = hub.repositories.get(name, {}).get(path)
        if name in hub.gated:
            return self._answer(403, b"", {"X-Error-Code": "GatedRepo"})
        if content is None:
            return self._answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": hub.commit}
        begin, _, end = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
        if self.command == "HEAD" or not begin:
            return self._answer(200, content, headers)
        hub.asked[path] += 1
        if hub.happens(hub.silent, path):
            return time.sleep(1)
        last = min(int(end or len(content)), len(content) - 1)
        headers |= {"Content-Range": f"bytes {begin}-{last}/{len(content)}"}
        return self._answer(206, content[int(begin) : last + 1], headers, cut=hub.happens(hub.cut, path))

    def _answer(self, status: int, content: bytes, headers: dict[str, str] | None = None, *, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if cut else content)
        self.close_connection = self.close_connection or cut


def _lfs(content: bytes) -> dict[str, Any]:
    return {"lfs": {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 0}}


def _tree(files: dict[str, bytes], folder: str, recursive: bool) -> list[dict[str, Any]]:
    prefix = f"{folder}/" if folder else ""
    below = {path[len(prefix) :]: content for path, content in files.items() if path.startswith(prefix)}
    shown = [
        {"type": "file", "path": prefix + path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
        for path, content in below.items()
        if recursive or "/" not in path
    ]
    folders = {path.split("/")[0] for path in below if "/" in path and not recursive}
    return shown + [{"type": "directory", "path": prefix + name, "size": 0, "oid": "0"} for name in sorted(folders)]
