"""Downloads against a real server that misbehaves."""

from __future__ import annotations

import base64
import http.server
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kaito_runtime.outcome import RuntimeFailure
from kaito_runtime.tune import prepare
from kaito_runtime.tune.download import TRIES, download_all, file_names

BODY = "".join(json.dumps({"text": f"row {number}"}) + "\n" for number in range(2000)).encode()

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


@dataclass
class Server:
    """Answers each request with the next of `answers`, and with the whole body after the last."""

    port: int
    answers: list[Answer] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with server_beside() as made:
        monkeypatch.setenv("KAITO_DATASET_PRIVATE_HOSTS", f"127.0.0.1:{made.port}")
        yield made


@contextmanager
def server_beside() -> Iterator[Server]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            made.requests.append((self.path, dict(self.headers)))
            (made.answers.pop(0) if made.answers else body())(self)
            self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        made = Server(httpd.server_address[1])
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield made
        httpd.shutdown()
        thread.join()


def status(code: int, **headers: str) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def body(content: bytes = BODY, *, cut: int | None = None, tag: str = '"v1"', kind: str = "application/json") -> Answer:
    """The content, or what a Range asks for when the version fits; with `cut`, the connection ends after so many."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range", "")
        begin = 0
        if wanted and handler.headers.get("If-Range") == tag:
            begin = int(wanted.removeprefix("bytes=").rstrip("-"))
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        else:
            handler.send_response(200)
        handler.send_header("ETag", tag)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(content) - begin))
        handler.end_headers()
        handler.wfile.write(content[begin:][:cut])

    return answer


def fetch(server: Server, folder: Path, path: str = "/rows.jsonl") -> tuple[list[Path], list[float]]:
    pauses: list[float] = []
    return download_all([server.url(path)], folder, pause=pauses.append), pauses


def refusal(server: Server, folder: Path, path: str = "/rows.jsonl") -> RuntimeFailure:
    with pytest.raises(RuntimeFailure) as caught:
        fetch(server, folder, path)
    assert "secret" not in caught.value.message
    return caught.value


def test_a_file_is_named_without_its_query(server: Server, tmp_path: Path) -> None:
    files, pauses = fetch(server, tmp_path, "/a/rows.jsonl?download=true&sig=secret")
    assert [file.name for file in files] == ["rows.jsonl"]
    assert files[0].read_bytes() == BODY
    assert pauses == []
    assert server.requests[0][0] == "/a/rows.jsonl?download=true&sig=secret"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.jsonl"]


def test_a_server_that_is_busy_is_tried_again(server: Server, tmp_path: Path) -> None:
    server.answers = [status(503), status(429, Retry_After="7"), status(500)]
    files, pauses = fetch(server, tmp_path)
    assert files[0].read_bytes() == BODY
    assert pauses == [2, 7, 8]


def test_a_server_that_stays_away_is_told(server: Server, tmp_path: Path) -> None:
    server.answers = [status(503)] * TRIES
    failure = refusal(server, tmp_path, "/rows.jsonl?sig=secret")
    assert (failure.cause, failure.retryable) == ("DatasetUnavailable", True)
    assert f"http://127.0.0.1:{server.port}/rows.jsonl: the server answers 503" in failure.message
    server.answers = [body(b"")] * TRIES
    assert "the body is empty" in refusal(server, tmp_path).message


def test_a_body_that_breaks_off_is_gone_on_with(server: Server, tmp_path: Path) -> None:
    server.answers = [body(cut=10_000), body(cut=5_000)]
    files, pauses = fetch(server, tmp_path)
    assert files[0].read_bytes() == BODY
    assert len(pauses) == 2
    assert [headers.get("Range") for _, headers in server.requests] == [None, "bytes=10000-", "bytes=15000-"]


def test_a_file_that_changed_meanwhile_is_fetched_whole(server: Server, tmp_path: Path) -> None:
    server.answers = [body(b"x" * 50_000, cut=10_000, tag='"v0"')]
    files, _ = fetch(server, tmp_path)
    assert files[0].read_bytes() == BODY


def test_what_an_earlier_run_left_is_gone_on_with(server: Server, tmp_path: Path) -> None:
    server.answers = [body(cut=10_000), *[status(503)] * (TRIES - 1)]
    refusal(server, tmp_path)
    fetch(server, tmp_path)
    assert server.requests[-1][1]["Range"] == "bytes=10000-"
    asked = len(server.requests)
    assert fetch(server, tmp_path)[0][0].read_bytes() == BODY
    assert len(server.requests) == asked


@pytest.mark.parametrize(
    ("code", "hint"), [(404, "nothing at this address"), (403, "access is denied"), (401, "login")]
)
def test_an_address_that_is_wrong_is_not_tried_again(server: Server, tmp_path: Path, code: int, hint: str) -> None:
    server.answers = [status(code)]
    failure = refusal(server, tmp_path, "/rows.jsonl?sig=secret")
    assert (failure.cause, failure.retryable, len(server.requests)) == ("InvalidInput", False, 1)
    assert hint in failure.message


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/octet-stream"])
def test_a_web_page_is_no_dataset(server: Server, tmp_path: Path, kind: str) -> None:
    server.answers = [body(b"\n<!DOCTYPE html><html></html>", kind=kind)]
    assert "is a web page, not a dataset" in refusal(server, tmp_path).message


def test_redirects_are_followed_to_allowed_addresses_only(server: Server, tmp_path: Path) -> None:
    server.answers = [status(302, Location="/other?sig=1"), body()]
    assert fetch(server, tmp_path)[0][0].name == "rows.jsonl"
    for number, target in enumerate(("http://127.0.0.1:1/", "http://169.254.169.254/metadata", "http://localhost/x")):
        server.answers = [status(302, Location=target)]
        failure = refusal(server, tmp_path / str(number))
        assert (failure.cause, failure.retryable) == ("InvalidInput", False)
        assert "a private address" in failure.message
    for number, target in enumerate(("http://[::1", "http://a..b/", "http://127.0.0.1:99999/", "http://x\u2100y/")):
        server.answers = [status(302, Location=target.encode().decode("latin-1"))]
        failure = refusal(server, tmp_path / f"odd-{number}")
        assert (failure.cause, failure.retryable) == ("InvalidInput", False)
    server.answers = [status(302, Location="file:///etc/passwd")]
    assert "no http or https address" in refusal(server, tmp_path / "file").message
    server.answers = [status(302, Location="/again")] * 10
    assert "redirects more than 5 times" in refusal(server, tmp_path / "loop").message


def authorizations(server: Server) -> list[str | None]:
    return [{k.lower(): v for k, v in headers.items()}.get("authorization") for _, headers in server.requests]


def test_a_login_is_decoded_and_stays_with_its_server(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = "Basic " + base64.b64encode("me:p@ss ü".encode()).decode()
    url = f"http://me:p%40ss%20%C3%BC@127.0.0.1:{server.port}/rows.jsonl"

    server.answers = [status(302, Location=server.url("/other"))]
    download_all([url], tmp_path / "same")
    assert authorizations(server) == [login, login]

    server.requests.clear()
    with server_beside() as other:
        allow = f"127.0.0.1:{server.port},127.0.0.1:{other.port}"
        monkeypatch.setenv("KAITO_DATASET_PRIVATE_HOSTS", allow)
        server.answers = [status(302, Location=f"http://its:own@127.0.0.1:{other.port}/rows.jsonl")]
        download_all([url], tmp_path / "other")
    assert authorizations(server) == [login]
    assert authorizations(other) == [None]

    with pytest.raises(RuntimeFailure, match="a login that is not percent-encoded") as caught:
        download_all([f"http://me:%ff@127.0.0.1:{server.port}/rows.jsonl"], tmp_path / "wrong")
    assert "%ff" not in caught.value.message


def rebinding(monkeypatch: pytest.MonkeyPatch, name: str, *answers: str) -> list[str]:
    """`name` is at the next of `answers` each time that it is looked up; returns what was answered."""
    given: list[str] = []
    real = socket.getaddrinfo

    def lookup(host: Any, port: Any, *arguments: Any, **named: Any) -> Any:
        if host != name:
            return real(host, port, *arguments, **named)
        given.append(answers[min(len(given), len(answers) - 1)])
        return real(given[-1], port, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return given


def test_a_name_is_looked_up_once_and_connected_to_where_it_was_checked(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if the first answer were public: only that address is allowed, not the name.
    monkeypatch.setenv("KAITO_DATASET_PRIVATE_HOSTS", "127.0.0.1/32")
    given = rebinding(monkeypatch, "rebound.example", "127.0.0.1", "127.0.0.2")
    files = download_all([f"http://rebound.example:{server.port}/rows.jsonl"], tmp_path)
    assert files[0].read_bytes() == BODY
    assert given == ["127.0.0.1"]
    assert server.requests[0][1]["Host"] == f"rebound.example:{server.port}"


def test_a_name_that_moves_inside_is_refused_at_the_next_hop_and_the_next_try(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAITO_DATASET_PRIVATE_HOSTS", "127.0.0.1/32")
    for number, first in enumerate((status(302, Location="/other"), status(503))):
        server.answers = [first]
        server.requests.clear()
        rebinding(monkeypatch, "rebound.example", "127.0.0.1", "169.254.169.254")
        with pytest.raises(RuntimeFailure, match=r"rebound\.example is 169\.254\.169\.254, a private address"):
            download_all(
                [f"http://rebound.example:{server.port}/rows.jsonl"], tmp_path / str(number), pause=lambda _: None
            )
        assert len(server.requests) == 1
        monkeypatch.undo()
        monkeypatch.setenv("KAITO_DATASET_PRIVATE_HOSTS", "127.0.0.1/32")


def test_a_name_may_end_with_a_dot(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAITO_DATASET_PRIVATE_HOSTS", f"store.example:{server.port}")
    rebinding(monkeypatch, "store.example", "127.0.0.1")
    download_all([f"http://store.example.:{server.port}/rows.jsonl"], tmp_path)
    assert server.requests[0][1]["Host"] == f"store.example:{server.port}"


def test_a_private_address_is_refused_unless_listed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAITO_DATASET_PRIVATE_HOSTS", "")
    assert "127.0.0.1, a private address" in refusal(server, tmp_path).message
    assert server.requests == []


def test_the_operator_limits_the_size(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAITO_DATASET_MAX_BYTES", "1000")
    assert "more than 1000 bytes" in refusal(server, tmp_path).message


def test_a_port_where_nobody_listens_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAITO_DATASET_PRIVATE_HOSTS", "127.0.0.1")
    with pytest.raises(RuntimeFailure) as caught:
        download_all(["http://127.0.0.1:1/rows.jsonl"], tmp_path, pause=lambda _: None)
    assert (caught.value.cause, caught.value.retryable) == ("DatasetUnavailable", True)


def certificate(folder: Path, name: str) -> Path:
    """A certificate for `name`, signed by itself, in one file with its key."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", str(key)]
    subject = ["-out", str(cert), "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    subprocess.run([*made, *subject], check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text(key.read_text() + cert.read_text())
    return both


@pytest.mark.parametrize(("name", "trusted"), [("localhost", True), ("other.example", False)])
def test_certificates_are_checked_for_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, trusted: bool
) -> None:
    pem = certificate(tmp_path, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body()(self)

        def log_message(self, *_: Any) -> None:
            pass

    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    monkeypatch.setenv("KAITO_DATASET_PRIVATE_HOSTS", "localhost")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        url = f"https://localhost:{httpd.server_address[1]}/rows.jsonl"
        if trusted:
            assert download_all([url], tmp_path / "data")[0].read_bytes() == BODY
        else:
            with pytest.raises(RuntimeFailure, match="CertificateError"):
                download_all([url], tmp_path / "data", pause=lambda _: None)
        httpd.shutdown()


def test_names_are_safe_and_different() -> None:
    urls = ["http://a/x.csv", "http://b/x.csv?y=1", "http://a/", "http://a/%2e%2e%2fpasswd", "http://a/x.part"]
    assert file_names(urls) == ["x.csv", "1-x.csv", "dataset", "_passwd", "x.part.data"]


def test_prepare_dataset_downloads_and_checks(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(prepare.URLS, json.dumps([server.url("/rows.jsonl?sig=secret")]))
    arguments = [f"--data={tmp_path / 'data'}", f"--config={tmp_path / 'absent.yaml'}"]
    result = prepare.prepare(arguments)
    assert (result["rows"], result["kind"], result["columns"]) == (2000, "text", ["text"])
    monkeypatch.setenv(prepare.URLS, "no list")
    with pytest.raises(RuntimeFailure, match="KAITO_DATASET_URLS is not JSON"):
        prepare.prepare(arguments)
