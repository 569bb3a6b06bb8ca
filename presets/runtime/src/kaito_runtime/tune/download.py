"""Downloads the files of a dataset: each is complete under its name, or not there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from kaito_runtime.outcome import RuntimeFailure, log
from kaito_runtime.tune.addresses import PrivateHosts
from kaito_runtime.tune.failures import dataset_unavailable, invalid
from kaito_runtime.tune.http_fetch import get, shown_url

MAX_BYTES = "KAITO_DATASET_MAX_BYTES"
TRIES = 5
FIRST_PAUSE_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 60.0
_CHUNK = 1 << 20
_PART = ".part"
_VALIDATOR = ".etag"
_AGAIN = (408, 425, 429)
_WEB_PAGE = "text/html"


class _TryAgain(Exception):  # noqa: N818 - becomes a failure after the last try
    """Trouble that may pass; `pause` is what the server asks for."""

    def __init__(self, message: str, pause: float | None = None) -> None:
        super().__init__(message)
        self.pause = pause


def download_all(urls: Sequence[str], folder: Path, *, pause: Callable[[float], None] = time.sleep) -> list[Path]:
    """Every URL's file in `folder`, one after the other. What an earlier run completed is not fetched again."""
    folder.mkdir(parents=True, exist_ok=True)
    allowed = PrivateHosts.from_environment()
    limit = _limit()
    names = file_names(urls)
    return [_download(url, folder / name, allowed, limit, pause) for url, name in zip(urls, names, strict=True)]


def file_names(urls: Sequence[str]) -> list[str]:
    """The last part of each path, without the query; a number in front where two would be the same."""
    names: list[str] = []
    for url in urls:
        name = unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2]).replace("/", "_").replace("\0", "")
        name = name.lstrip(".") or "dataset"
        if name.endswith((_PART, _VALIDATOR)):
            name += ".data"
        names.append(name if name not in names else f"{len(names)}-{name}")
    return names


def _limit() -> int | None:
    text = os.environ.get(MAX_BYTES)
    if not text:
        return None
    if not text.isdigit() or int(text) == 0:
        raise invalid(f"{MAX_BYTES}={text} is not a number of bytes", "Set a positive whole number, or leave it unset.")
    return int(text)


def _download(url: str, target: Path, allowed: PrivateHosts, limit: int | None, pause: Callable[[float], None]) -> Path:
    if target.exists():
        log(f"{target.name} is there already")
        return target
    wait = FIRST_PAUSE_SECONDS
    for attempt in range(1, TRIES + 1):
        try:
            _attempt(url, target, allowed, limit)
        except (_TryAgain, HTTPError) as error:
            reason = str(error) if isinstance(error, _TryAgain) else _reason(error)
            if attempt == TRIES:
                raise dataset_unavailable(f"{shown_url(url)}: {reason} ({TRIES} tries)") from error
            asked = error.pause if isinstance(error, _TryAgain) else None
            seconds = min(max(wait, asked or 0), _LONGEST_PAUSE_SECONDS)
            log(f"{shown_url(url)}: {reason}; try {attempt} of {TRIES}, next in {seconds:g} s")
            pause(seconds)
            wait *= 2
            continue
        log(f"{target.name}: {target.stat().st_size} bytes from {shown_url(url)}")
        return target
    raise AssertionError("the last try returns or raises")


def _reason(error: HTTPError) -> str:
    """urllib3 prints the address with its query; the class and what is behind it say enough."""
    cause = getattr(error, "reason", None) or error.__cause__ or error.__context__
    return f"{type(error).__name__} ({type(cause).__name__})" if isinstance(cause, Exception) else type(error).__name__


def _attempt(url: str, target: Path, allowed: PrivateHosts, limit: int | None) -> None:
    part = target.with_name(target.name + _PART)
    validator = target.with_name(target.name + _VALIDATOR)
    have = part.stat().st_size if part.exists() and validator.exists() else 0
    headers = {"Accept-Encoding": "identity", "User-Agent": "kaito-prepare-dataset"}
    if have:
        # If-Range: a file that has changed since is sent whole.
        headers |= {"Range": f"bytes={have}-", "If-Range": validator.read_text(encoding="utf-8")}
    with get(url, headers, allowed) as response:
        if response.status == 416:
            _forget(part, validator)
            raise _TryAgain("the server does not have the part that is missing")
        _check(url, response, have)
        appended = response.status == 206
        _remember(validator, response)
        _check_size(url, _expected(response, have if appended else 0), limit)
        size = _write(url, response, part, have if appended else 0, limit)
        expected = _expected(response, have if appended else 0)
    if expected is not None and size != expected:
        raise _TryAgain(f"the body ends after {size} of {expected} bytes")
    if size == 0:
        _forget(part, validator)
        raise _TryAgain("the body is empty")
    part.replace(target)
    validator.unlink(missing_ok=True)


def _check(url: str, response: urllib3.BaseHTTPResponse, have: int) -> None:
    status = response.status
    if status >= 500 or status in _AGAIN:
        after = response.headers.get("Retry-After", "")
        raise _TryAgain(f"the server answers {status}", float(after) if after.isdigit() else None)
    if status not in ((200, 206) if have else (200,)):
        hint = {
            401: "it wants a login; use a signed URL, an image or a volume",
            403: "access is denied; a signed URL may have expired",
            404: "there is nothing at this address",
            410: "it is gone",
        }.get(status, "a dataset is answered with 200")
        raise invalid(
            f"{shown_url(url)}: the server answers {status}: {hint}", "Correct the address in tuning.input.urls."
        )
    if response.headers.get("Content-Type", "").lower().startswith(_WEB_PAGE):
        raise invalid(
            f"{shown_url(url)} is a web page, not a dataset",
            "Give the address of the file itself; on the Hugging Face hub that is /resolve/ instead of /blob/.",
        )


def _remember(validator: Path, response: urllib3.BaseHTTPResponse) -> None:
    """What tells the file's version, without which a part cannot be gone on with."""
    if response.status == 206:
        return
    tag = response.headers.get("ETag", "")
    mark = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")
    if mark and response.headers.get("Accept-Ranges", "").lower() != "none":
        validator.write_text(mark, encoding="utf-8")
    else:
        validator.unlink(missing_ok=True)


def _expected(response: urllib3.BaseHTTPResponse, have: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    return have + int(length) if length.isdigit() else None


def _check_size(url: str, size: int | None, limit: int | None) -> None:
    if limit is not None and size is not None and size > limit:
        raise _too_large(url, limit)


def _too_large(url: str, limit: int) -> RuntimeFailure:
    return invalid(
        f"{shown_url(url)} has more than {limit} bytes",
        f"Give a smaller dataset, or let the operator raise {MAX_BYTES}.",
    )


def _write(url: str, response: urllib3.BaseHTTPResponse, part: Path, have: int, limit: int | None) -> int:
    size = have
    with part.open("r+b" if have else "wb") as file:
        file.truncate(have)
        file.seek(have)
        # read1 gives what has come; read would lose a part of a chunk when the connection breaks off.
        while chunk := response.read1(_CHUNK):
            if size == 0 and chunk.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
                raise invalid(f"{shown_url(url)} is a web page, not a dataset", "Give the address of the file itself.")
            size += len(chunk)
            if limit is not None and size > limit:
                raise _too_large(url, limit)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return size


def _forget(part: Path, validator: Path) -> None:
    part.unlink(missing_ok=True)
    validator.unlink(missing_ok=True)
