"""Uploads one blob in chunks, and goes on where the registry says it is after an interruption."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import oras.utils
import requests

from .errors import Interrupted, NotFound, Refused, Unavailable, describe
from .patience import Patience

if TYPE_CHECKING:
    from .registry import RegistryClient

CHUNK_BYTES = 8 * 1024 * 1024
"""Little is lost with a connection, every registry takes it, and object stores want at least 5 MiB."""

_MOST_SESSIONS = 5
_RANGE = re.compile(r"(?:bytes=)?0-(\d+)$")


class ChunkedUpload:
    """POST, PATCH for each chunk, PUT with the digest, as the OCI distribution specification has it.

    A registry that takes no chunks gets the whole blob in one PUT.
    """

    def __init__(
        self, client: RegistryClient, start_url: str, file: str, layer: Mapping[str, Any], chunk_bytes: int
    ) -> None:
        self._client = client
        self._start_url = start_url
        self._file = Path(file)
        self._digest = str(layer["digest"])
        self._layer = layer
        self._size = int(layer["size"])
        self._chunk_bytes = chunk_bytes
        self._patience = Patience(client.patience_seconds)
        self._session: str | None = None
        self._sessions = 0
        self._offset = 0
        self.bytes_sent = 0
        """What the registry took."""

    def run(self) -> requests.Response:
        """The registry's last answer. Raises Denied, NotFound, Refused; Unavailable when it takes too long."""
        interrupted = False
        while True:
            try:
                done = self._recover() if interrupted else None
                interrupted = False
                if done is None:
                    done = self._go_on()
                if done is not None:
                    return done
            except Interrupted as error:
                if not self._patience.pause(error.retry_after_seconds):
                    raise Unavailable(str(error)) from error
                interrupted = True

    def _go_on(self) -> requests.Response | None:
        """One request of the upload; the registry's answer once the blob is there."""
        if self._session is None:
            self._session = self._start()
        if self._offset < self._size:
            return self._send_chunk(self._session)
        return self._finish(self._session)

    def _start(self) -> str:
        if self._sessions == _MOST_SESSIONS:
            raise Unavailable(f"it gave up the upload of {self._digest} {_MOST_SESSIONS} times")
        self._sessions += 1
        self._offset = 0
        response = self._client.once(self._start_url, "POST", headers={"Content-Length": "0"})
        if response.status_code == HTTPStatus.NOT_FOUND:
            raise NotFound(f"it answered {describe(response)}")
        if response.status_code != HTTPStatus.ACCEPTED or "Location" not in response.headers:
            raise Refused(f"it answered {describe(response)} to the start of an upload")
        least = response.headers.get("OCI-Chunk-Min-Length", "")
        if least.isdigit():
            self._chunk_bytes = max(self._chunk_bytes, int(least))
        return urljoin(self._start_url, response.headers["Location"])

    def _send_chunk(self, session: str) -> requests.Response | None:
        with self._file.open("rb") as file:
            file.seek(self._offset)
            chunk = file.read(self._chunk_bytes)
        headers = {
            "Content-Range": f"{self._offset}-{self._offset + len(chunk) - 1}",
            "Content-Type": "application/octet-stream",
        }
        response = self._client.once(session, "PATCH", data=chunk, headers=headers)
        if response.status_code in (HTTPStatus.ACCEPTED, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT):
            self._follow(session, response)
            self._advance(_next_offset(response) or self._offset + len(chunk))
            return None
        if self._lost_or_elsewhere(session, response):
            return None
        if self._offset == 0:
            return self._send_whole()
        raise self._refusal(response)

    def _send_whole(self) -> requests.Response:
        """For a registry that takes no chunks: a new upload, with the whole blob in its last request."""
        url = self._with_digest(self._start())
        response = self._client.once(
            url, "PUT", data=lambda: self._file.open("rb"), headers={"Content-Type": "application/octet-stream"}
        )
        if response.status_code not in (HTTPStatus.CREATED, HTTPStatus.NO_CONTENT):
            raise self._refusal(response)
        self._advance(self._size)
        return response

    def _finish(self, session: str) -> requests.Response | None:
        response = self._client.once(self._with_digest(session), "PUT", headers={"Content-Length": "0"})
        if response.status_code in (HTTPStatus.CREATED, HTTPStatus.NO_CONTENT):
            return response
        if self._lost_or_elsewhere(session, response):
            return None
        raise self._refusal(response)

    def _lost_or_elsewhere(self, session: str, response: requests.Response) -> bool:
        """Whether to go on from another place: the registry forgot the upload, or has another part of it."""
        if response.status_code == HTTPStatus.NOT_FOUND:
            self._session = None
            return True
        if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            before = self._offset
            self._ask_offset(session)
            if self._offset == before:
                self._session = None  # it refuses just what it says it wants
            return True
        return False

    def _recover(self) -> requests.Response | None:
        """After an interruption: the blob may be there already, or a part of it, or the upload is forgotten."""
        if self._client.blob_exists(self._layer, self._client.container):
            there = requests.Response()
            there.status_code = HTTPStatus.OK
            return there
        if self._session is not None:
            self._ask_offset(self._session)
        return None

    def _ask_offset(self, session: str) -> None:
        response = self._client.once(session, "GET")
        if response.status_code not in (HTTPStatus.NO_CONTENT, HTTPStatus.OK, HTTPStatus.ACCEPTED):
            self._session = None
            return
        self._follow(session, response)
        offset = _next_offset(response) or 0
        if offset > self._size:
            self._session = None
        else:
            self._advance(offset)

    def _advance(self, offset: int) -> None:
        if offset > self._offset:
            self.bytes_sent += offset - self._offset
            self._patience.progressed()
        self._offset = offset

    def _follow(self, session: str, response: requests.Response) -> None:
        if "Location" in response.headers:
            self._session = urljoin(session, response.headers["Location"])

    def _with_digest(self, session: str) -> str:
        return str(oras.utils.append_url_params(session, {"digest": self._digest}))

    def _refusal(self, response: requests.Response) -> Refused:
        return Refused(f"it answered {describe(response)} to the upload of {self._digest}")


def _next_offset(response: requests.Response) -> int | None:
    """What the registry has, from its Range header. `0-0` stands for nothing: chunks are larger than a byte."""
    match = _RANGE.match(response.headers.get("Range", ""))
    return int(match[1]) + 1 if match is not None and match[1] != "0" else None
