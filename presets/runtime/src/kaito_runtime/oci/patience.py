"""How long something that fails is tried again."""

from __future__ import annotations

import random
import time

PATIENCE_SECONDS = 60.0
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 10.0


class Patience:
    """Pauses between tries, longer each time, until so many seconds went by without progress."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._failures = 0
        self._since: float | None = None

    def progressed(self) -> None:
        """Something went well: counts from the start again."""
        self._failures = 0
        self._since = None

    def pause(self, asked_seconds: float | None = None) -> bool:
        """Waits before the next try, at least as long as the server asked for; false when there should be none."""
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**self._failures) * random.uniform(0.75, 1)  # noqa: S311 - spreads tries
        pause = max(pause, asked_seconds or 0)
        if now - self._since + pause > self._seconds:
            return False
        self._failures += 1
        time.sleep(pause)
        return True
