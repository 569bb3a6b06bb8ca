"""One process of a training with several: `python -m kaito_runtime.tune.rank JOB.json`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from kaito_runtime.outcome import run
from kaito_runtime.tune.job import Job
from kaito_runtime.tune.stop import StopRequest
from kaito_runtime.tune.training import train


def train_rank() -> dict[str, Any] | None:
    """Does this process's part of the training."""
    stop = StopRequest()
    stop.listen()
    result = train(Job.from_json(Path(sys.argv[1]).read_text(encoding="utf-8")), stop)
    _leave_group()
    return result


def _leave_group() -> None:
    from torch import distributed

    if distributed.is_initialized():
        distributed.destroy_process_group()


if __name__ == "__main__":
    run(train_rank)
