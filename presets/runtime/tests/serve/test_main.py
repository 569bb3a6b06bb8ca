from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from serve.fake_hub import FakeHub

from kaito_runtime.outcome import RuntimeFailure
from kaito_runtime.serve.flags import Flags
from kaito_runtime.serve.main import environment, local_model
from kaito_runtime.serve.progress import Progress
from kaito_runtime.serve.waiting import WaitingServer


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    (tmp_path / "weights.tar").touch()
    with pytest.raises(RuntimeFailure, match=r"config.json is missing \(there: weights.tar\)"):
        local_model(str(tmp_path), Flags([]))


def test_a_folder_that_is_not_there_is_no_name_of_the_hub() -> None:
    with pytest.raises(RuntimeFailure, match="--model=/no/such: no such folder"):
        local_model("/no/such", Flags([]))


@pytest.mark.parametrize("name", ["config.json", "params.json"])
def test_a_folder_with_a_model_is_served_as_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}")
    flags = Flags(["--revision=main"])
    assert local_model(str(tmp_path), flags) == tmp_path
    assert flags.arguments() == ["--revision=main"]


@pytest.mark.parametrize(("model", "load_format"), [("s3://bucket/model", "auto"), ("org/model", "runai_streamer")])
def test_what_only_vllm_can_fetch_is_left_to_it(model: str, load_format: str) -> None:
    flags = Flags([f"--load-format={load_format}", "--revision=main"])
    assert local_model(model, flags) is None
    assert "revision" in flags


def test_vllm_reports_nothing_to_its_makers_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VLLM_NO_USAGE_STATS", raising=False)
    assert environment()["VLLM_NO_USAGE_STATS"] == "1"
    monkeypatch.setenv("VLLM_NO_USAGE_STATS", "0")
    assert environment()["VLLM_NO_USAGE_STATS"] == "0"


def test_the_port_is_free_when_waiting_ends() -> None:
    first = WaitingServer("127.0.0.1", 0, Progress("m").metrics)
    first.stop()
    WaitingServer("127.0.0.1", first.port, Progress("m").metrics).stop()


def test_a_port_that_is_taken_is_told() -> None:
    first = WaitingServer("127.0.0.1", 0, Progress("m").metrics)
    try:
        with pytest.raises(RuntimeFailure, match=f"--port={first.port}: can't be listened on"):
            WaitingServer("127.0.0.1", first.port, Progress("m").metrics)
    finally:
        first.stop()


def test_progress_tells_speed_and_what_remains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    progress = Progress("org/model", clock=lambda: now)
    assert b"kaito_model_download_remaining_seconds -1.0" in progress.metrics()
    (tmp_path / "blob.incomplete").write_bytes(bytes(1000))
    assert progress.start(tmp_path, 10_000) == 1000
    progress.stop()
    for second in range(1, 13):
        now = float(second)
        (tmp_path / "blob.incomplete").write_bytes(bytes(1000 + 500 * second))
        progress.sample()
    metrics = progress.metrics().decode()
    assert "kaito_model_download_bytes 7000.0" in metrics
    assert "kaito_model_download_total_bytes 10000.0" in metrics
    assert "kaito_model_download_speed_bytes_per_second 500.0" in metrics
    assert "kaito_model_download_remaining_seconds 6.0" in metrics
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2, "one at once, one after ten seconds"
    assert lines[1].endswith("(60 %), 0.0 MiB/s, 8 s remain")


def start(hub: FakeHub, tmp_path: Path, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "home"),
        "KAITO_TERMINATION_LOG": str(tmp_path / "termination"),
        "KAITO_ADAPTERS_DIR": str(tmp_path / "none"),
    }
    command = [sys.executable, "-m", "kaito_runtime.serve.main", f"--model={hub.name}", *arguments]
    return subprocess.Popen(
        [*command, f"--download-dir={tmp_path / 'weights'}"], env=environment, stderr=subprocess.PIPE
    )


def test_a_refusal_of_the_hub_is_in_the_termination_log(tmp_path: Path) -> None:
    hub = FakeHub({"config.json": b"{}", "model.safetensors": b"x"}, gated=True)
    try:
        process = start(hub, tmp_path, "--headless")
        _, output = process.communicate(timeout=60)
    finally:
        hub.stop()
    assert process.returncode == 1, output
    written = json.loads((tmp_path / "termination").read_text())
    assert written["cause"] == "HubDenied"
    assert written["message"].startswith("model test/tiny: the hub refuses access (HTTP 401)")


def test_sigterm_during_a_download_ends_it_at_once(tmp_path: Path) -> None:
    hub = FakeHub({"config.json": b"{}", "model.safetensors": b"x" * 1000})
    hub.gate.clear()
    try:
        process = start(hub, tmp_path, "--headless")
        deadline = time.monotonic() + 60
        while not any(request.startswith("GET") and "safetensors" in request for request in hub.requests):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == 128 + signal.SIGTERM
    finally:
        hub.stop()
