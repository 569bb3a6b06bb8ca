"""What happens after each step: progress for the orchestrator, and when to save or stop."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from kaito_runtime.tune.failures import invalid
from kaito_runtime.tune.stop import StopRequest

PREFIX = "KAITO_PROGRESS"
_QUIET_SECONDS = 5.0
"""A line at least this often while steps are quicker; the contract says ten."""
_SAVE_SECONDS = 1800.0
"""Where a tenth of the steps takes longer, this is what a lost node costs at most."""


class Progress(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Prints KAITO_PROGRESS lines on rank 0, and asks for a checkpoint on SIGTERM and every half hour."""

    def __init__(
        self,
        stop: StopRequest,
        *,
        seconds_before: float,
        tokens_before: int,
        checkpoint: int | None,
        saves: bool,
        agree: Callable[[bool, bool], tuple[bool, bool]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stop = stop
        self._seconds_before = seconds_before
        self._tokens_before = tokens_before
        self._saves = saves
        self._agree = agree
        self._clock = clock
        self.checkpoint = checkpoint
        self.loss: float | None = None
        self.stopped = False
        self._began = self._last_line = self._last_save = clock()
        self._began_step = 0
        self._tokens = 0

    @property
    def seconds(self) -> float:
        """Spent on training, over all runs of it."""
        return self._seconds_before + self._clock() - self._began

    @property
    def tokens(self) -> int:
        """Trained on, over all runs and processes."""
        return self._tokens_before + self._tokens

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:  # noqa: ARG002
        """The clock starts here: loading is not training."""
        self._began = self._last_save = self._clock()
        self._began_step = state.global_step
        self._stop.training_begins()
        self._line(state)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:  # noqa: ARG002
        """All processes come to the same decision, or those that save would wait for those that do not."""
        due = self._saves and self._clock() - self._last_save > _SAVE_SECONDS
        stop, save = self._agree(self._stop.requested, due)
        if stop or save:
            control.should_save = True
        if stop and state.global_step < state.max_steps:
            self.stopped = True
            control.should_training_stop = True
        if state.global_step >= state.max_steps:
            # The last loss is part of the result, however seldom the user logs.
            control.should_log = True
        elif not control.should_log and self._clock() - self._last_line > _QUIET_SECONDS:
            self._line(state)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:  # noqa: ARG002
        """A loss that is not a number stays so: the rest of the training would be paid for nothing."""
        logs: dict[str, Any] = given.get("logs") or {}
        self._tokens = int(logs.get("num_tokens", self._tokens))
        if "loss" not in logs:
            return
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            raise invalid(
                f"the loss is {loss} at step {state.global_step} of {state.max_steps}",
                "Lower TrainingArguments.learning_rate or max_grad_norm, or look for odd rows in the dataset.",
            )
        self.loss = loss
        self._line(state)

    def saved(self, step: int) -> None:
        """A checkpoint is whole."""
        self.checkpoint = step
        self._last_save = self._clock()

    def _line(self, state: TrainerState) -> None:
        if not state.is_world_process_zero:
            return
        now = self._clock()
        self._last_line = now
        done = state.global_step - self._began_step
        line: dict[str, Any] = {
            "step": state.global_step,
            "steps": state.max_steps,
            "epoch": round(state.epoch or 0.0, 4),
        }
        if self.loss is not None:
            line["loss"] = round(self.loss, 4)
        if self._tokens:
            line["tokensPerSecond"] = round(self._tokens / (now - self._began), 1)
        if done:
            line["etaSeconds"] = round((now - self._began) / done * (state.max_steps - state.global_step))
        if self.checkpoint is not None:
            line["checkpoint"] = self.checkpoint
        sys.stdout.write(f"{PREFIX} {json.dumps(line)}\n")
        sys.stdout.flush()
