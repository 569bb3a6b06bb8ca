"""The registry program of the local environment, and a proxy that breaks what it is told to break."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

REPOSITORY_ROOT = Path(__file__).parents[4]
USERNAME, PASSWORD = "pusher", "correct horse"
AUTH = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
_HTPASSWD = f"{USERNAME}:$2b$04$ODsknrUSGR1xln40hWlHfefMuJOJRGn.1iAvSxgMl6L5dSgCWo5Dq\n"


@cache
def program(name: str) -> str:
    """Path of a program of the local environment; it is built when it is missing."""
    command = ["node", "local/bootstrap.cjs", "local/programs/get.ts", name]
    done = subprocess.run(command, cwd=REPOSITORY_ROOT, check=True, stdout=subprocess.PIPE, timeout=900)
    return str(json.loads(done.stdout)[name])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Registry:
    """distribution, on a port of its own."""

    def __init__(self, folder: Path, *, users: bool) -> None:
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        config: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": str(folder / "store")}},
            "http": {"addr": self.host},
        }
        if users:
            (folder / "htpasswd").write_text(_HTPASSWD)
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
        (folder / "config.json").write_text(json.dumps(config))  # JSON is YAML
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [program("registry"), "serve", str(folder / "config.json")], stdout=log, stderr=log
            )
        deadline = time.monotonic() + 20
        while not self._answers():
            assert self._process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "the registry does not answer"
            time.sleep(0.05)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)


@dataclass(frozen=True)
class Cut:
    """Breaks the connection after so many bytes of the body went by: of the request's, or of the answer's."""

    request_bytes: int | None = None
    answer_bytes: int | None = None


@dataclass(frozen=True)
class Answer:
    """Answers in the registry's place."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


Fault = Cut | Answer | None


@dataclass
class Seen:
    """A request that came by."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""
    """Of requests that are read before they are passed on: those to the token server."""


class Proxy:
    """Passes requests on to a registry, but for what `faults` say, of which the first that says something decides."""

    def __init__(self, upstream_port: int) -> None:
        self.seen: list[Seen] = []
        self.faults: list[Callable[[Seen], Fault]] = []
        self.upstream_port = upstream_port
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                with contextlib.suppress(ConnectionError):
                    super().handle_one_request()

            def _any(self) -> None:
                proxy.pass_on(self)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = _any  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def count(self, method: str, part: str = "") -> int:
        return sum(1 for seen in self.seen if seen.method == method and part in seen.path)

    def pass_on(self, request: BaseHTTPRequestHandler) -> None:
        length = int(request.headers.get("Content-Length") or 0)
        seen = Seen(request.command, request.path, dict(request.headers.items()))
        if request.path.startswith("/token"):
            seen.body = request.rfile.read(length)
            length = 0
        self.seen.append(seen)
        fault = next((found for rule in self.faults if (found := rule(seen)) is not None), None)
        if isinstance(fault, Cut) and fault.request_bytes is not None:
            body = request.rfile.read(min(length, fault.request_bytes))
            self._send_partly(request, body)
            self._hang_up(request)
            return
        body = request.rfile.read(length)
        if isinstance(fault, Answer):
            self._answer(request, fault.status, fault.headers, fault.body)
            return
        upstream = http.client.HTTPConnection("127.0.0.1", self.upstream_port, timeout=30)
        with contextlib.closing(upstream):
            upstream.request(request.command, request.path, body=body or None, headers=dict(request.headers.items()))
            response = upstream.getresponse()
            content = response.read()
            headers = {key: value for key, value in response.getheaders() if key.lower() != "transfer-encoding"}
            cut = fault.answer_bytes if isinstance(fault, Cut) else None
            self._answer(request, response.status, headers, content, cut)

    def _answer(
        self, request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes, cut: int | None = None
    ) -> None:
        request.send_response(status)
        for key, value in headers.items():
            if key.lower() not in {"date", "server"}:
                request.send_header(key, value)
        if "content-length" not in {key.lower() for key in headers}:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self._hang_up(request)

    def _send_partly(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        """A part of the body reaches the registry, then the line is dead. Returns once the registry has noticed."""
        head = f"{request.command} {request.path} HTTP/1.1\r\n"
        head += "".join(f"{key}: {value}\r\n" for key, value in request.headers.items())
        with socket.create_connection(("127.0.0.1", self.upstream_port), timeout=10) as upstream:
            upstream.sendall(head.encode() + b"\r\n" + body)
            upstream.shutdown(socket.SHUT_WR)
            with contextlib.suppress(OSError):
                while upstream.recv(4096):
                    pass

    def _hang_up(self, request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True
        with contextlib.suppress(OSError):
            request.connection.shutdown(socket.SHUT_RDWR)


class TokenServer:
    """As a fault of a proxy: wants tokens, one for reading and one for writing, and forgets them after some uses."""

    def __init__(self, proxy: Proxy, *, uses: int = 1000) -> None:
        self._proxy = proxy
        self._uses = uses
        self._tokens: dict[str, list[Any]] = {}
        self.asked: list[str] = []
        self.identity: str | None = None

    def __call__(self, seen: Seen) -> Fault:
        url = urlsplit(seen.path)
        if url.path == "/token":
            return self._give(seen, parse_qs(url.query))
        wanted = "pull" if seen.method in ("GET", "HEAD") else "pull,push"
        token = seen.headers.get("Authorization", "").removeprefix("Bearer ")
        known = self._tokens.get(token)
        if known is not None and wanted in known[0] and known[1] > 0:
            known[1] -= 1
            return None
        challenge = f'Bearer realm="http://{self._proxy.host}/token",service="test",scope="repository:x:{wanted}"'
        return Answer(401, {"WWW-Authenticate": challenge})

    def _give(self, seen: Seen, query: dict[str, list[str]]) -> Answer:
        if seen.method == "GET" and seen.headers.get("Authorization") != f"Basic {AUTH}":
            return Answer(401)
        if seen.method == "POST":
            query = parse_qs(seen.body.decode())
            if query["grant_type"] != ["refresh_token"] or query["refresh_token"] != [self.identity]:
                return Answer(401)
        scope = query["scope"][0]
        self.asked.append(scope)
        token = f"token-{len(self._tokens)}"
        self._tokens[token] = [scope.rpartition(":")[2], self._uses]
        return Answer(200, {"Content-Type": "application/json"}, json.dumps({"token": token}).encode())
