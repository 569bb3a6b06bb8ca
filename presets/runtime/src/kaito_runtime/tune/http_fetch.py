"""One HTTP request to a checked address, with redirects followed by hand so that each hop is checked too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urljoin, urlsplit, urlunsplit

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
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit((parts.scheme, host + port, parts.path, "", ""))


@contextmanager
def get(url: str, headers: Mapping[str, str], allowed: PrivateHosts) -> Iterator[urllib3.BaseHTTPResponse]:
    """The response after redirects, its body unread. Raises urllib3's HTTPError for trouble on the way."""
    hop = url
    for _ in range(_MAX_REDIRECTS + 1):
        with _one(hop, headers, allowed) as response:
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or location is None:
                yield response
                return
        hop = urljoin(hop, location)
    raise invalid(
        f"{shown_url(url)} redirects more than {_MAX_REDIRECTS} times", "Give the address that the data is at."
    )


@contextmanager
def _one(url: str, headers: Mapping[str, str], allowed: PrivateHosts) -> Iterator[urllib3.BaseHTTPResponse]:
    parts = urlsplit(url)
    host = parts.hostname
    if parts.scheme not in ("http", "https") or not host:
        raise invalid(f"{shown_url(url)} is no http or https address", "Give an http or https address.")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise invalid(f"{shown_url(url.split('?')[0])}: {error}", "Correct the port.") from error
    errors: list[HTTPError] = []
    for address in resolve(host, port, allowed):
        pool = _pool(parts.scheme, host, port, address)
        try:
            target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
            sent = {**headers, "Host": parts.netloc.rpartition("@")[2]}
            if parts.username:
                sent |= urllib3.make_headers(basic_auth=f"{parts.username}:{parts.password or ''}")
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
