"""How every program ends: exit code, and one JSON object in the termination log.

Kubernetes takes that file into the container's status, and the Workspace tells it from there.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NoReturn

EXIT_SUCCESS = 0
EXIT_RETRY = 1
"""Trying again may help."""
EXIT_FINAL = 42
"""Trying again cannot help: the user has to change something."""

TERMINATION_LOG = Path("/dev/termination-log")
TERMINATION_LOG_BYTES = 4096
"""What Kubernetes keeps of the file."""

Cause = Literal[
    "InvalidInput",
    "NotSupported",
    "DoesNotFit",
    "DatasetUnavailable",
    "HubUnavailable",
    "HubDenied",
    "RegistryUnavailable",
    "RegistryDenied",
    "ImagePull",
    "OutOfMemory",
    "TrainingCrashed",
    "CrashLoop",
    "Internal",
]
"""Causes of failure that the programs tell, a part of those in api/causes.ts."""


class RuntimeFailure(Exception):  # noqa: N818 - a failure that is told, not a defect
    """A failure for the user: what is wrong (field, value) and what to do.

    `retryable` decides the exit code: whether trying the same again may succeed, without the user.
    """

    def __init__(self, cause: Cause, message: str, *, remedy: str | None = None, retryable: bool = False) -> None:
        super().__init__(message)
        self.cause: Cause = cause
        self.message = message
        self.remedy = remedy
        self.retryable = retryable


class ArgumentParser(argparse.ArgumentParser):
    """Tells a wrong command line as every other failure: InvalidInput."""

    def error(self, message: str) -> NoReturn:
        raise RuntimeFailure("InvalidInput", f"{self.prog}: {message}", remedy=f"See {self.prog} --help.")


def log(text: str) -> None:
    """One line for people, on stderr, without credentials."""
    print(redact(text), file=sys.stderr, flush=True)  # noqa: T201 - the one place


_SECRETS = (
    # Tokens of the Hugging Face hub.
    (re.compile(r"\bhf_[A-Za-z0-9]{8,}"), "hf_***"),
    # A header, as HTTP libraries print it.
    (re.compile(r"(?i)\b(authorization[\"']?\s*[:=]\s*[\"']?)(bearer|basic)\s+[^\s\"',]+"), r"\1\2 ***"),
    # User and password in an address.
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^/\s@\"']+@"), r"\1***@"),
    # The query of an address: signed links carry their signature there.
    (re.compile(r"(?i)\b(https?://[^\s?\"'<>]+)\?[^\s\"'<>)]+"), r"\1?***"),
)


def redact(text: str) -> str:
    """The text without what looks like a credential, nor the token that this process was given."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        value = os.environ.get(name, "").strip()
        if len(value) >= 8:
            text = text.replace(value, "***")
    return text


def run(program: Callable[[], Mapping[str, Any] | None]) -> NoReturn:
    """Runs a program to its end: returns never, exits with its code, having told the result.

    What `program` returns is the result of a success. Anything but RuntimeFailure is a defect or something unforeseen:
    cause Internal, tried again.
    """
    sys.exit(conclude(program))


def conclude(program: Callable[[], Mapping[str, Any] | None]) -> int:
    """As `run`, but returns the exit code."""
    try:
        result = program()
    except RuntimeFailure as failure:
        log(f"error: {failure.cause}: {failure.message}")
        if failure.remedy is not None:
            log(failure.remedy)
        report_failure(failure)
        return EXIT_RETRY if failure.retryable else EXIT_FINAL
    except Exception as error:  # noqa: BLE001 - the edge of the program
        log("".join(traceback.format_exception(error)).rstrip())
        report_failure(RuntimeFailure("Internal", f"{type(error).__name__}: {error}", retryable=True))
        return EXIT_RETRY
    if result is not None:
        report(result)
    return EXIT_SUCCESS


def report(result: Mapping[str, Any]) -> None:
    """Writes the result of a success."""
    text = _json(result)
    if len(text.encode()) > TERMINATION_LOG_BYTES:
        raise ValueError(
            f"the result has {len(text.encode())} bytes, more than the {TERMINATION_LOG_BYTES} that Kubernetes keeps"
        )
    _write(text)


def report_failure(failure: RuntimeFailure) -> None:
    """Writes a failure, its message shortened in the middle until it fits."""
    message = redact(failure.message)
    remedy = {} if failure.remedy is None else {"remedy": _shortened(redact(failure.remedy), 1000)}
    length = len(message)
    while True:
        text = _json({"cause": failure.cause, "message": _shortened(message, length), **remedy})
        excess = len(text.encode()) - TERMINATION_LOG_BYTES
        if excess <= 0:
            break
        # A character may be several bytes, so this may take another round rather than cut too much.
        length -= max(1, excess // 4)
    _write(text)


def _shortened(text: str, length: int) -> str:
    """The beginning says what, the end says why (a log's last lines); the middle is what can be missed."""
    if len(text) <= length:
        return text
    gap = " … "
    head = max(0, length - len(gap)) // 2
    tail = max(0, length - len(gap) - head)
    return text[:head] + gap + (text[-tail:] if tail else "")


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


def _write(text: str) -> None:
    """To the file that KAITO_TERMINATION_LOG names. Kubernetes makes the default one; outside a pod nobody reads it."""
    named = os.environ.get("KAITO_TERMINATION_LOG")
    path = Path(named) if named else TERMINATION_LOG
    if named or path.exists():
        path.write_text(text, encoding="utf-8")
