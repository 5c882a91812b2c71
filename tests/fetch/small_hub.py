"""A hub of the test's own: as much of the Hugging Face hub's HTTP interface as its clients use to download."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlparse

COMMIT = "c0ffee" + "0" * 34
Repositories = dict[str, dict[str, bytes]]  # "datasets/owner/name" or "models/owner/name" -> path -> content


@contextmanager
def small_hub(repositories: Repositories) -> Iterator[str]:
    """Serve repositories, each with one commit; yields the address for HF_ENDPOINT."""

    class Handler(_Handler):
        served = repositories

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: Repositories

    def log_message(self, *_: Any) -> None:
        """Keep the test's output clean."""

    def do_GET(self) -> None:
        parts = unquote(urlparse(self.path).path).strip("/").split("/")
        if parts[0] == "api":
            self._describe(parts[1:])
        else:
            self._file(parts if parts[0] == "datasets" else ["models", *parts])

    do_HEAD = do_GET

    def _describe(self, parts: list[str]) -> None:
        files = self.served.get("/".join(parts[:3]))
        if files is None:
            return self._answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        what, rest = parts[3] if len(parts) > 3 else "revision", "/".join(parts[5:])
        if what == "tree":
            recursive = "recursive=true" in urlparse(self.path).query.lower()
            return self._answer(200, json.dumps(_tree(files, rest, recursive)).encode())
        siblings = [{"rfilename": path, "size": len(content)} | _lfs(content) for path, content in files.items()]
        described = {"id": "/".join(parts[1:3]), "sha": COMMIT, "private": False, "siblings": siblings, "tags": []}
        return self._answer(200, json.dumps(described).encode())

    def _file(self, parts: list[str]) -> None:
        content = self.served.get("/".join(parts[:3]), {}).get("/".join(parts[5:]))
        if content is None:
            return self._answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
        return self._answer(200, content, headers)

    def _answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


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
