"""One HTTP request to a checked address, with redirects followed by hand so that each hop is checked too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urljoin, urlsplit, urlunsplit

import urllib3
from urllib3.exceptions import HTTPError

from kaito_runtime.tune.addresses import PrivateHosts, resolve
from kaito_runtime.tune.failures import dataset_unavailable, invalid

_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_REDIRECTS = 5
_TIMEOUT = urllib3.Timeout(connect=10, read=60)
_NO_RETRIES = urllib3.Retry(total=False, redirect=False)


def shown_url(url: str) -> str:
    """A URL for a message: without user, password and query, which may be credentials."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that cannot be read"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class _Server(NamedTuple):
    """Who is asked. Equal for two addresses: the same login may be shown."""

    scheme: str
    host: str
    port: int


@contextmanager
def get(url: str, headers: Mapping[str, str], allowed: PrivateHosts) -> Iterator[urllib3.BaseHTTPResponse]:
    """The response after redirects, its body unread. Raises urllib3's HTTPError for trouble on the way."""
    start, server = _parsed(url, url)
    login = _login(url, start)
    hop, parts, at = url, start, server
    for _ in range(_MAX_REDIRECTS + 1):
        # The login is for the server that the user wrote it for; what a redirect has of its own is nobody's to send.
        with _one(parts, at, {**headers, **(login if at == server else {})}, allowed) as response:
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or location is None:
                yield response
                return
        try:
            hop = urljoin(hop, location)
        except ValueError as error:
            raise invalid(f"{shown_url(url)} redirects to what is no address: {error}") from error
        parts, at = _parsed(hop, url)
    raise invalid(
        f"{shown_url(url)} redirects more than {_MAX_REDIRECTS} times", "Give the address that the data is at."
    )


def _parsed(url: str, asked: str) -> tuple[SplitResult, _Server]:
    """The parts of an address; `asked` is the one that the user wrote, for messages."""
    try:
        parts = urlsplit(url)
        # As resolvers and certificates have it: in ASCII, and without the dot that may end a name.
        host = (parts.hostname or "").encode("idna").decode().rstrip(".")
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except (ValueError, UnicodeError) as error:
        raise invalid(f"{shown_url(asked)}: {shown_url(url)}: {error}", "Correct host and port.") from error
    if parts.scheme not in ("http", "https") or not host:
        raise invalid(f"{shown_url(url)} is no http or https address", "Give an http or https address.")
    return parts, _Server(parts.scheme, host, port)


def _login(url: str, parts: SplitResult) -> dict[str, str]:
    if not parts.username:
        return {}
    try:
        user, password = (unquote(part or "", errors="strict") for part in (parts.username, parts.password))
    except UnicodeError as error:
        raise invalid(
            f"{shown_url(url)} has a login that is not percent-encoded UTF-8", "Write a % of user or password as %25."
        ) from error
    made: dict[str, str] = urllib3.make_headers(basic_auth=f"{user}:{password}".encode().decode("latin-1"))
    return made


@contextmanager
def _one(
    parts: SplitResult, server: _Server, headers: Mapping[str, str], allowed: PrivateHosts
) -> Iterator[urllib3.BaseHTTPResponse]:
    scheme, host, port = server
    bracketed = f"[{host}]" if ":" in host else host
    name = bracketed if parts.port is None else f"{bracketed}:{port}"
    errors: list[HTTPError] = []
    for address in resolve(host, port, allowed):
        pool = _pool(scheme, host, port, address)
        try:
            target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
            sent = {**headers, "Host": name}
            try:
                response = pool.urlopen(
                    "GET", target, headers=sent, retries=_NO_RETRIES, redirect=False, preload_content=False
                )
            except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
                # The name has more addresses: as any client, try the next.
                errors.append(error)
                continue
            try:
                yield response
            finally:
                response.close()
            return
        finally:
            pool.close()
    if errors:
        raise errors[-1]
    raise dataset_unavailable(f"the name {host} has no address")


def _pool(scheme: str, host: str, port: int, address: str) -> urllib3.HTTPConnectionPool:
    """A pool that connects to `address` and nowhere else; certificates are still checked for `host`."""
    if scheme == "https":
        return urllib3.HTTPSConnectionPool(
            address, port, timeout=_TIMEOUT, cert_reqs="CERT_REQUIRED", server_hostname=host, assert_hostname=host
        )
    return urllib3.HTTPConnectionPool(address, port, timeout=_TIMEOUT)
