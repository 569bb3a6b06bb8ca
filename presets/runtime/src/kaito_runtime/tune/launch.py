"""One process for each GPU, with the environment that accelerate reads."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from kaito_runtime.outcome import EXIT_FINAL, RuntimeFailure, log
from kaito_runtime.tune.job import Job

_POLL_SECONDS = 0.2
_GRACE_SECONDS = 20.0
"""For the other processes after one has failed: they wait for it in vain, so this is short."""


def launch(job: Job) -> dict[str, Any]:
    """Trains in `job.processes` processes and returns rank 0's result, or raises what the failed one says."""
    with tempfile.TemporaryDirectory(prefix="tune-ranks-") as name:
        folder = Path(name)
        (folder / "job.json").write_text(job.to_json(), encoding="utf-8")
        port = _free_port()
        ranks = [_start(folder, rank, job.processes, port) for rank in range(job.processes)]
        _pass_on_stop(ranks)
        codes = _wait(ranks)
        return _outcome(folder, codes)


def _start(folder: Path, rank: int, processes: int, port: int) -> subprocess.Popen[bytes]:
    environment = os.environ | {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes))),
        "KAITO_TERMINATION_LOG": str(_report(folder, rank)),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "kaito_runtime.tune.rank", str(folder / "job.json")], env=environment
    )


def _report(folder: Path, rank: int) -> Path:
    return folder / f"rank-{rank}.json"


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _pass_on_stop(ranks: list[subprocess.Popen[bytes]]) -> None:
    """Kubernetes tells the first process alone to stop."""

    def tell(_number: int, _frame: FrameType | None) -> None:
        for rank in ranks:
            if rank.poll() is None:
                rank.terminate()

    signal.signal(signal.SIGTERM, tell)


def _wait(ranks: list[subprocess.Popen[bytes]]) -> list[int]:
    """Every process's exit code. When one fails, the others are ended."""
    while all(rank.poll() is None for rank in ranks) or (
        any(rank.poll() is None for rank in ranks) and all(rank.poll() in (None, 0) for rank in ranks)
    ):
        time.sleep(_POLL_SECONDS)
    deadline = time.monotonic() + _GRACE_SECONDS
    for rank in ranks:
        try:
            rank.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log(f"ending process {rank.pid}, which waits for one that has failed")
            rank.kill()
            rank.wait()
    return [rank.returncode for rank in ranks]


def _outcome(folder: Path, codes: list[int]) -> dict[str, Any]:
    reports = [_read(_report(folder, rank)) for rank in range(len(codes))]
    if not any(codes):
        if reports[0] is None:
            raise RuntimeFailure("TrainingCrashed", "rank 0 ended without a result", retryable=True)
        return dict(reports[0])
    told = [(rank, report) for rank, report in enumerate(reports) if report and "cause" in report and codes[rank] != 0]
    # What one process lacks memory for, the others tell as a lost connection.
    final = [(rank, report) for rank, report in told if codes[rank] == EXIT_FINAL]
    for rank, report in final or told:
        alike = len({other["message"] for _, other in told}) == 1
        raise RuntimeFailure(
            report["cause"],
            report["message"] if alike else f"rank {rank}: {report['message']}",
            remedy=report.get("remedy"),
            retryable=codes[rank] != EXIT_FINAL,
        )
    rank, code = next((rank, code) for rank, code in enumerate(codes) if code)
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    hint = "; the node's memory may be used up" if code == -signal.SIGKILL else ""
    raise RuntimeFailure("TrainingCrashed", f"rank {rank} {how}{hint}", retryable=True)


def _read(path: Path) -> Mapping[str, Any] | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return value if isinstance(value, dict) else None
