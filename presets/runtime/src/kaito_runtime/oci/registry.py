"""A client of one repository of a registry.

The protocol is oras-py's (`oras.provider.Registry`). What it lacks is added here: a challenge is answered anew whenever
the registry asks (its token backend keeps the first token, knows no Basic challenge and no identity token), tries end
after a time rather than a count and also cover 429, 502 and 503, credentials go to no other host, and chunked uploads
go on where they were interrupted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import IO, Any
from urllib.parse import urlsplit

import oras.container
import oras.provider
import requests

from .authentication import Authentication, keep_header
from .credentials import Credential
from .errors import Denied, Interrupted, Refused, Unavailable, describe, reason_of
from .patience import PATIENCE_SECONDS, Patience
from .reference import Reference
from .upload import CHUNK_BYTES, ChunkedUpload

CONNECT_TIMEOUT_SECONDS = 10
READ_TIMEOUT_SECONDS = 120

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"

Body = bytes | Callable[[], IO[bytes]]
"""What is sent; a function when it is read from a file, since it may have to be sent once more after a challenge."""


class RegistryClient(oras.provider.Registry):  # type: ignore[misc]
    """Talks to the repository of `reference` with one credential.

    Raises Denied and Unavailable; other answers are returned.
    """

    def __init__(
        self, reference: Reference, credential: Credential, *, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        super().__init__(hostname=reference.host, insecure=reference.insecure)
        self.reference = reference
        self.container = _container(reference)
        self.patience_seconds = patience_seconds
        self.bytes_sent = 0
        self._authentication = Authentication(self.session, credential, insecure=reference.insecure)

    def do_request(  # what every method of the base class goes through
        self,
        url: str,
        method: str = "GET",
        data: Body | None = None,
        headers: Mapping[str, str] | None = None,
        json: None = None,  # noqa: ARG002 - of the base class; what is sent here has a digest, so its bytes are made by the caller
        stream: bool = False,
    ) -> requests.Response:
        """A request that is safe to repeat: tried again until it is answered or the patience ends."""
        patience = Patience(self.patience_seconds)
        while True:
            try:
                return self.once(url, method, data, headers, stream=stream)
            except Interrupted as error:
                if not patience.pause(error.retry_after_seconds):
                    raise Unavailable(str(error)) from error

    def once(
        self,
        url: str,
        method: str,
        data: Body | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        stream: bool = False,
    ) -> requests.Response:
        """One request, with its challenges: a token for reading may be followed by one for writing."""
        ours = urlsplit(url).netloc == self.reference.host
        for _ in range(3):
            sent_headers = dict(headers or {})
            if ours and self._authentication.header is not None:
                sent_headers["Authorization"] = self._authentication.header
            response = self._send(url, method, data, sent_headers, stream=stream)
            challenge = response.headers.get("WWW-Authenticate")
            if response.status_code not in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                break
            response.close()
            if not (ours and challenge and self._answer(challenge)):
                break
        if response.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise Denied(f"it answered {describe(response)}")
        if response.status_code in (408, 429) or response.status_code >= 500:
            raise Interrupted(f"it answered {describe(response)}", _retry_after(response))
        return response

    def _answer(self, challenge: str) -> bool:
        try:
            return self._authentication.answer(challenge)
        except Unavailable as error:
            raise Interrupted(str(error)) from error

    def _send(
        self, url: str, method: str, data: Body | None, headers: Mapping[str, str], *, stream: bool
    ) -> requests.Response:
        body: Any = data() if callable(data) else data
        try:
            response: requests.Response = self.session.request(
                method,
                url,
                data=body,
                headers=headers,
                stream=stream,
                verify=self._tls_verify,
                auth=keep_header,
                timeout=(CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS),
            )
        except requests.RequestException as error:
            raise Interrupted(reason_of(error)) from error
        finally:
            if callable(data):
                body.close()
        return response

    def chunked_upload(  # called by upload_blob of the base class, which asks first whether the blob is there
        self,
        blob: str,
        container: oras.container.Container,
        layer: Mapping[str, Any],
        chunk_size: int = CHUNK_BYTES,
    ) -> requests.Response:
        upload = ChunkedUpload(self, f"{self.prefix}://{container.upload_blob_url()}", blob, layer, chunk_size)
        try:
            return upload.run()
        finally:
            self.bytes_sent += upload.bytes_sent

    def manifest_digest(self) -> str | None:
        """Digest of the manifest under the reference; None when there is none."""
        response = self._manifest("HEAD", (MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_LIST))
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None
        told = response.headers.get("Docker-Content-Digest")
        if response.ok and told:
            return told
        content = self.manifest()
        return None if content is None else content[0]

    def manifest(self, version: str | None = None) -> tuple[str, bytes] | None:
        """Digest and bytes of a manifest or index, by default the reference's own; None when there is none.

        Raises Refused when it is not what its digest says.
        """
        response = self._manifest("GET", (MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_LIST), version)
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None
        if not response.ok:
            raise Refused(f"it answered {describe(response)}")
        digest = f"sha256:{hashlib.sha256(response.content).hexdigest()}"
        wanted = version or self.reference.digest
        if wanted is not None and wanted.startswith("sha256:") and wanted != digest:
            raise Refused(f"it gave a manifest with digest {digest} for {wanted}")
        return digest, response.content

    def _manifest(self, method: str, accepted: tuple[str, ...], version: str | None = None) -> requests.Response:
        url = f"{self.prefix}://{self.container.manifest_url(version or self.reference.version)}"
        return self.do_request(url, method, headers={"Accept": ", ".join(accepted)})

    def put_manifest(self, content: bytes) -> None:
        """Puts a manifest under the reference's tag."""
        url = f"{self.prefix}://{self.container.manifest_url()}"
        response = self.do_request(url, "PUT", data=content, headers={"Content-Type": MANIFEST})
        if response.status_code not in (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED):
            raise Refused(f"it answered {describe(response)}")
        self.bytes_sent += len(content)


def _container(reference: Reference) -> oras.container.Container:
    """Filled in part by part: its own parser takes a first folder with a dot for a registry."""
    namespace, _, name = reference.repository.rpartition("/")
    container = oras.container.Container(name, registry=reference.host)
    container.namespace = namespace or None
    container.tag = reference.tag
    container.digest = reference.digest
    return container


def _retry_after(response: requests.Response) -> float | None:
    """Seconds; a date is not waited for."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None
