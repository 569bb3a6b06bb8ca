"""vLLM as a child process: its output is handed on, its last lines are kept, and its end gets a cause."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from typing import IO

from kaito_runtime.outcome import Cause, RuntimeFailure, redact

KEPT_LINES = 400

# What vLLM says, the cause, and whether trying again may help. The first match counts, so the plainer comes first.
_KNOWN: tuple[tuple[re.Pattern[str], Cause, bool], ...] = (
    (
        re.compile(
            r"out of memory|OutOfMemoryError|No available memory for the cache blocks|"
            r"is less than desired GPU memory utilization|"
            r"larger than the (available KV cache memory|maximum number of tokens)",
            re.IGNORECASE,
        ),
        "OutOfMemory",
        False,
    ),
    (
        re.compile(r"GatedRepoError|401 Client Error|403 Client Error|Access to model .* is restricted"),
        "HubDenied",
        True,
    ),
    (re.compile(r"error: (unrecognized arguments|argument |ambiguous option)"), "InvalidInput", False),
    (re.compile(r"validation errors? for \w+"), "InvalidInput", False),
    (re.compile(r"ValueError: .*(LoRA|lora|adapter)"), "InvalidInput", False),
    (re.compile(r"Model architectures .* (are not|failed to be)|not supported for now"), "NotSupported", False),
)
_REFUSED_PARSERS = re.compile(r"(--[a-z-]+-parser \S+(?: and --[a-z-]+-parser \S+)?) cannot be used with the tokenizer")
_OOM_REMEDY = "Lower max-model-len, take fewer or smaller adapters, or choose a size with more GPU memory."
_ERROR = re.compile(r"(?:^|[\s|])((?:[\w.]+\.)?[A-Z]\w*(?:Error|Exception|Exit)\b.*|\S+: error: .*)$")
# `(EngineCore pid=1) ERROR 11-22 02:00:00 [core.py:1] `, `ERROR 11-22 …`
_PREFIX = re.compile(r"^(\(\w+ pid=\d+\)\s*)?([A-Z]+ \d\d-\d\d \d\d:\d\d:\d\d \[[^\]]*\]\s?)?")


class VllmProcess:
    """Started once, waited for once."""

    def __init__(self, arguments: Sequence[str], environment: dict[str, str]) -> None:
        command = [sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", *arguments]
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._stopped = False
        self._readers = [
            threading.Thread(target=self._hand_on, args=(source, target), daemon=True)
            for source, target in ((self._process.stdout, sys.stdout.buffer), (self._process.stderr, sys.stderr.buffer))
            if source is not None
        ]
        for reader in self._readers:
            reader.start()

    def stop(self, number: int = signal.SIGTERM) -> None:
        """vLLM ends in its own way: it finishes or drops requests as its --shutdown-timeout says."""
        self._stopped = True
        self._process.send_signal(number)

    def wait(self) -> None:
        """Returns after a stop that was asked for; any other end is a failure."""
        code = self._process.wait()
        for reader in self._readers:
            # A grandchild that outlives vLLM may hold the pipe open; what it says isn't waited for.
            reader.join(timeout=5)
        if not self._stopped:
            raise failure_of(code, list(self._lines))

    def _hand_on(self, source: IO[bytes], target: IO[bytes]) -> None:
        rest = b""
        while chunk := os.read(source.fileno(), 65536):
            target.write(chunk)
            target.flush()
            *lines, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
            self._lines.extend(line.decode(errors="replace") for line in lines if line.strip())
        if rest.strip():
            self._lines.append(rest.decode(errors="replace"))


def failure_of(code: int, lines: Sequence[str]) -> RuntimeFailure:
    """Why vLLM ended, from its exit code and its last lines."""
    if code == -signal.SIGKILL:
        return RuntimeFailure(
            "OutOfMemory",
            "vLLM was killed (signal 9), as the kernel does when the node or the container runs out of memory",
            remedy="Choose a size with more memory.",
            retryable=True,
        )
    plain = [_PREFIX.sub("", line).rstrip() for line in lines]
    errors = [match.group(1).strip() for line in plain if (match := _ERROR.search(line))]
    for pattern, cause, retryable in _KNOWN:
        # Errors first: an informative line may mention the same words.
        told = next((line for line in reversed(errors) if pattern.search(line)), None)
        told = told or next((line for line in reversed(plain) if pattern.search(line)), None)
        if told is not None:
            remedy = _OOM_REMEDY if cause == "OutOfMemory" else None
            return RuntimeFailure(cause, f"vLLM: {_detailed(told, plain)}", remedy=remedy, retryable=retryable)
    reason = _first_cause(errors) or "; ".join(line.strip() for line in plain[-5:]) or "it said nothing"
    return RuntimeFailure("CrashLoop", redact(f"vLLM ended with {_ending(code)}: {reason}"), retryable=True)


def refused_parsers(failure: RuntimeFailure) -> list[str]:
    """Flags without which vLLM would start: parsers that need tokens which the tokenizer lacks."""
    told = _REFUSED_PARSERS.search(failure.message)
    if told is None:
        return []
    names = re.findall(r"--([a-z-]+)", told.group(1))
    return [*names, "enable-auto-tool-choice"] if "tool-call-parser" in names else names


def _first_cause(errors: Sequence[str]) -> str | None:
    """The engine's own error is told again by those who waited for it; theirs only say that there was one."""
    telling = [
        error for error in errors if "See root cause above" not in error and "Engine core initialization" not in error
    ]
    return telling[-1] if telling else (errors[-1] if errors else None)


def _detailed(told: str, plain: Sequence[str]) -> str:
    """A validation error says on the lines that follow what is wrong."""
    if not re.search(r"validation errors? for", told):
        return told
    at = max(index for index, line in enumerate(plain) if told in line)
    return " ".join(line.strip() for line in plain[at : at + 3])


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
