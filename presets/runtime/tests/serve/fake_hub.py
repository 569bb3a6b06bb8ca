"""A stand-in for the Hugging Face hub, as far as downloading a model goes."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "c" * 40
TOKEN = "hf_goodtoken"  # noqa: S105 - of the stand-in
_API = re.compile(r"/api/models/(?P<id>[^/]+/[^/]+)/(?P<kind>revision|tree)/(?P<revision>[^/?]+)")
_FILE = re.compile(r"/(?P<id>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>[^?]+)")


class FakeHub:
    """One repository `test/tiny` with the files of a folder. Whatever else is asked is noted in `violations`."""

    name = "test/tiny"

    def __init__(self, files: Mapping[str, bytes], gated: bool = False) -> None:
        self.files = dict(files)
        self.gated = gated
        self.trouble: int | None = None
        """Answer everything with this status."""
        self.break_off_after: int | None = None
        """Close the connection once, after so many bytes of weights."""
        self.gate = threading.Event()
        """Weights are held back after their first half until it is set."""
        self.gate.set()
        self.requests: list[str] = []
        self.violations: list[str] = []
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @classmethod
    def of(cls, folder: Path, gated: bool = False) -> FakeHub:
        return cls({path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}, gated)

    def stop(self) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: FakeHub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub = self.hub
        hub.requests.append(f"{self.command} {self.path}")
        if hub.trouble is not None:
            self._json(hub.trouble, {"error": "trouble"})
            return
        if self.path == "/api/agent-harnesses":
            # Asked by the library about itself; it goes on without.
            self._json(404, {"error": "not found"})
            return
        match = _API.match(self.path) or _FILE.match(self.path)
        if match is None:
            hub.violations.append(f"{self.command} {self.path}")
            self._json(501, {"error": "not part of the stand-in"})
            return
        granted = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if match["id"] != hub.name:
            self._json(401, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        elif match["revision"] not in (COMMIT, "main"):
            self._json(404, {"error": "Invalid rev id"}, {"X-Error-Code": "RevisionNotFound"})
        elif match.re is _API:
            self._json(200, self._tree() if match["kind"] == "tree" else self._info())
        elif hub.gated and not granted:
            self._json(401, {"error": "Access to this model is restricted"}, {"X-Error-Code": "GatedRepo"})
        else:
            self._file(match["path"])

    def _info(self) -> object:
        files = [{"rfilename": path, "size": len(content)} for path, content in self.hub.files.items()]
        return {"_id": "6" * 24, "id": self.hub.name, "sha": COMMIT, "private": False, "siblings": files}

    def _tree(self) -> object:
        return [
            {"type": "file", "path": path, "size": len(content), "oid": _etag(content)}
            for path, content in self.hub.files.items()
        ]

    def _file(self, path: str) -> None:
        content = self.hub.files.get(path)
        if content is None:
            self._json(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
            return
        first = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(first[1]) if first else 0
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", f'"{_etag(content)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        if first:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if self.command == "GET":
            self._body(path, content[start:])

    def _body(self, path: str, content: bytes) -> None:
        hub = self.hub
        if not path.endswith(".safetensors"):
            self.wfile.write(content)
            return
        if hub.break_off_after is not None:
            self.wfile.write(content[: hub.break_off_after])
            hub.break_off_after = None
            self.close_connection = True
            return
        half = len(content) // 2
        self.wfile.write(content[:half])
        self.wfile.flush()
        hub.gate.wait(timeout=120)
        self.wfile.write(content[half:])

    def _json(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Silent: what was asked is in `requests`."""


def _etag(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()
