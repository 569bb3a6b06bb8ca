"""SIGTERM: the pod is being stopped. A training saves a checkpoint after its step; anything else ends at once."""

from __future__ import annotations

import os
import signal
from types import FrameType

from kaito_runtime.outcome import EXIT_RETRY, RuntimeFailure, log, report_failure


class StopRequest:
    """Whether this process was told to stop."""

    def __init__(self) -> None:
        self.requested = False
        self._patient = False

    def listen(self) -> None:
        """Takes SIGTERM from now on."""
        signal.signal(signal.SIGTERM, self._handle)

    def training_begins(self) -> None:
        """From now on a request is only remembered: whoever trains looks at it after each step."""
        self._patient = True

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
        if self._patient:
            log("told to stop (SIGTERM): saving a checkpoint after this step")
            return
        log("told to stop (SIGTERM) before the training began")
        report_failure(
            RuntimeFailure("TrainingCrashed", "told to stop (SIGTERM) before the training began", retryable=True)
        )
        # Not an exception: libraries' own handlers could swallow it in the middle of a download.
        os._exit(EXIT_RETRY)
