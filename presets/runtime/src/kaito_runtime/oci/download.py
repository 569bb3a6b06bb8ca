"""Reads a blob as a stream that goes on after a broken connection, and checks its digest."""

from __future__ import annotations

import hashlib
import io
from http import HTTPStatus

import requests
import urllib3

from .errors import Interrupted, NotFound, Refused, Unavailable, describe
from .patience import Patience
from .registry import RegistryClient


class BlobReader(io.RawIOBase):
    """The bytes of a blob, in order; nothing is kept. Reading raises Unavailable, Denied, NotFound, Refused."""

    def __init__(self, client: RegistryClient, digest: str) -> None:
        super().__init__()
        self._client = client
        self._digest = digest
        self._url = f"{client.prefix}://{client.container.get_blob_url(digest)}"
        self._hash = hashlib.sha256()
        self._response: requests.Response | None = None
        self._patience = Patience(client.patience_seconds)
        self._ended = False
        self.position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._ended:
            try:
                data = self._read(len(buffer))
            except Interrupted as error:
                self._drop()
                if not self._patience.pause(error.retry_after_seconds):
                    raise Unavailable(str(error)) from error
                continue
            if not data:
                self._ended = True
                break
            self._hash.update(data)
            self.position += len(data)
            self._patience.progressed()
            buffer[: len(data)] = data
            return len(data)
        return 0

    def _read(self, size: int) -> bytes:
        if self._response is None:
            self._response = self._open()
        try:
            data: bytes = self._response.raw.read(size)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Interrupted(f"the connection broke after {self.position:,} bytes ({type(error).__name__})") from error
        return data

    def _open(self) -> requests.Response:
        headers = {"Accept-Encoding": "identity"}
        if self.position > 0:
            headers["Range"] = f"bytes={self.position}-"
        response = self._client.once(self._url, "GET", headers=headers, stream=True)
        if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and self.position > 0:
            return _nothing(response)
        if response.status_code == HTTPStatus.NOT_FOUND:
            raise NotFound(f"it answered {describe(response)} to {self._digest}")
        if not response.ok:
            raise Refused(f"it answered {describe(response)} to {self._digest}")
        if self.position > 0 and response.status_code != HTTPStatus.PARTIAL_CONTENT:
            self._skip(response)
        return response

    def _skip(self, response: requests.Response) -> None:
        """The registry or its store knows no ranges: what was read before comes once more."""
        left = self.position
        while left > 0:
            try:
                data = response.raw.read(min(left, 1 << 20))
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise Interrupted(f"the connection broke ({type(error).__name__})") from error
            if not data:
                raise Interrupted("the connection ended early")
            left -= len(data)

    def finish(self) -> None:
        """Reads what is left and raises Refused unless the whole was what its digest says."""
        scratch = memoryview(bytearray(1 << 20))
        while self.readinto(scratch):
            pass
        found = f"sha256:{self._hash.hexdigest()}"
        if found != self._digest:
            raise Refused(f"it gave {self.position:,} bytes with digest {found} for {self._digest}")

    def _drop(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None

    def close(self) -> None:
        self._drop()
        super().close()


def _nothing(response: requests.Response) -> requests.Response:
    """The connection broke after the last byte: there is nothing after it. The digest tells whether that is so."""
    response.close()
    response.raw = io.BytesIO()
    return response
