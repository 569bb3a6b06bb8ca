"""The server on the port until vLLM takes it: says that the model is not ready, and how far its download is."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from kaito_runtime.outcome import RuntimeFailure


class WaitingServer:
    """`GET /metrics` is answered, all else is 503. After `stop` the port is free."""

    def __init__(self, host: str, port: int, metrics: Callable[[], bytes]) -> None:
        class Handler(_Handler):
            read_metrics = staticmethod(metrics)

        class Server(ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
            daemon_threads = True
            # Else stopping waits for clients that keep their connection open.
            block_on_close = False

        try:
            self._server = Server((host, port), Handler)
        except OSError as error:
            raise RuntimeFailure(
                "InvalidInput", f"--port={port}: can't be listened on: {error}", retryable=True
            ) from None
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="waiting", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    # A connection for each request: none is left open towards a server that is gone.
    protocol_version = "HTTP/1.0"
    timeout = 10
    read_metrics: Callable[[], bytes]

    def _answer(self) -> None:
        if self.command == "GET" and self.path.partition("?")[0] == "/metrics":
            self._send(HTTPStatus.OK, "text/plain; version=0.0.4; charset=utf-8", self.read_metrics())
            return
        body = {"error": {"message": "the model is being downloaded", "type": "ServiceUnavailable", "code": 503}}
        self._send(HTTPStatus.SERVICE_UNAVAILABLE, "application/json", json.dumps(body).encode())

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer  # noqa: N815 - the library's names

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            self.send_header("Retry-After", "10")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Probes ask every few seconds: nothing to tell."""
