"""Failures of tuning as users see them."""

from __future__ import annotations

import traceback

from kaito_runtime.outcome import RuntimeFailure

_MEMORY_TEXTS = (
    "can't allocate memory",
    "CUDA out of memory",
    "not enough memory: you tried to allocate",
    "std::bad_alloc",
)
_TRACEBACK_LINES = 12


def invalid(message: str, remedy: str | None = None) -> RuntimeFailure:
    """What the user has to change before trying again makes sense."""
    return RuntimeFailure("InvalidInput", message, remedy=remedy)


def dataset_unavailable(message: str) -> RuntimeFailure:
    """The dataset's server did not answer as it should; later it may."""
    return RuntimeFailure(
        "DatasetUnavailable",
        message,
        remedy="Check that the server of tuning.input.urls answers from within the cluster; it is tried again.",
        retryable=True,
    )


def interrupted(step: int, steps: int, *, saved: bool) -> RuntimeFailure:
    """The training was asked to stop."""
    kept = f"checkpoint-{step} is kept and the training goes on from it" if saved else "no checkpoint was due yet"
    return RuntimeFailure(
        "TrainingCrashed",
        f"the training was told to stop (SIGTERM) at step {step} of {steps}; {kept}",
        remedy="Nothing to do: the training goes on when its pod is started again.",
        retryable=True,
    )


def of_training(error: BaseException, *, method: str) -> RuntimeFailure:
    """What an exception from loading or training means to the user."""
    if isinstance(error, RuntimeFailure):
        return error
    if _is_out_of_memory(error):
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        quantized = "" if method == "qlora" else ", use method qlora"
        return RuntimeFailure(
            "OutOfMemory",
            f"out of memory while training: {first_line}",
            remedy=f"Lower TrainingArguments.per_device_train_batch_size or TrainingArguments.max_length{quantized}, "
            "or choose a size with more GPU memory.",
        )
    lines = "".join(traceback.format_exception(error)).rstrip().splitlines()
    return RuntimeFailure(
        "TrainingCrashed",
        f"{type(error).__name__}: {error}\n" + "\n".join(lines[-_TRACEBACK_LINES:]),
        remedy="Read the log of the training pod; the training is tried again from its last checkpoint.",
        retryable=True,
    )


def _is_out_of_memory(error: BaseException) -> bool:
    import torch

    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _MEMORY_TEXTS)
