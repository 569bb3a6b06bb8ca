"""How far a download is: for log lines, and for the metrics that are served meanwhile."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from kaito_runtime.outcome import log

SAMPLE_SECONDS = 1.0
LOG_SECONDS = 10.0
WINDOW_SECONDS = 15.0
"""Speed is a mean over this time: files are written in bursts."""


class Progress:
    """Watches the folder that is downloaded into: that is true for every way of fetching."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.registry = CollectorRegistry()
        self._bytes = self._gauge("bytes", "Bytes of the model that are on disk.")
        self._total = self._gauge("total_bytes", "Bytes of the model; -1 while unknown.")
        self._speed = self._gauge("speed_bytes_per_second", "Mean of the last seconds.")
        self._remaining = self._gauge("remaining_seconds", "At the present speed; -1 while unknown.")
        self._total.set(-1)
        self._remaining.set(-1)
        self._name = name
        self._clock = clock
        self._folder: Path | None = None
        self._expected = 0
        self._samples: deque[tuple[float, int]] = deque()
        self._logged: float | None = None
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, folder: Path, total: int) -> int:
        """Begins to watch; returns how many bytes an earlier try left."""
        self._folder = folder
        self._expected = total
        self._total.set(total)
        present = self.sample()
        self._thread = threading.Thread(target=self._watch, name="download-progress", daemon=True)
        self._thread.start()
        return present

    def stop(self) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def total(self) -> int | None:
        """Bytes of the model; None when nothing had to be downloaded."""
        return self._expected if self._folder is not None else None

    def metrics(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)

    def sample(self) -> int:
        """Measures once, and logs when it is time to."""
        now = self._clock()
        present = min(_size_of(self._folder), self._expected) if self._folder is not None else 0
        self._samples.append((now, present))
        while len(self._samples) > 2 and now - self._samples[0][0] > WINDOW_SECONDS:
            self._samples.popleft()
        began, before = self._samples[0]
        speed = max(0.0, (present - before) / (now - began)) if now > began else 0.0
        remaining = (self._expected - present) / speed if speed > 0 else (0 if present == self._expected else -1)
        self._bytes.set(present)
        self._speed.set(speed)
        self._remaining.set(remaining)
        if self._logged is None or now - self._logged >= LOG_SECONDS:
            self._logged = now
            log(f"{self._name}: {_line(present, self._expected, speed, remaining)}")
        return present

    def _watch(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            self.sample()

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"kaito_model_download_{name}", text, registry=self.registry)


def _line(present: int, total: int, speed: float, remaining: float) -> str:
    share = 100 * present / total if total else 100
    text = f"downloaded {present / 2**30:.2f} of {total / 2**30:.2f} GiB ({share:.0f} %)"
    if speed > 0:
        text += f", {speed / 2**20:.1f} MiB/s, {remaining:.0f} s remain"
    return text


def _size_of(folder: Path) -> int:
    size = 0
    if folder.is_dir():
        for file in folder.iterdir():
            try:
                size += file.stat().st_size
            except FileNotFoundError:
                # Finished between listing and measuring: it has another name now.
                continue
    return size
