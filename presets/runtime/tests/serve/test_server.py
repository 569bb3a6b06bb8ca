"""The real thing: vLLM on CPU, a tiny model from a stand-in for the hub, adapters. Started once for all tests here."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import tiny
from serve.fake_hub import COMMIT, FakeHub

START_SECONDS = 300
PROMPT = "what is a workspace"


@dataclass
class Server:
    url: str
    process: subprocess.Popen[bytes]
    log: Path
    before: dict[str, requests.Response] = field(default_factory=dict)
    """Answers while the model was downloaded."""

    def post(self, path: str, body: object) -> requests.Response:
        return requests.post(self.url + path, json=body, timeout=60)

    def logprobs(self, model: str) -> dict[int, float]:
        """Of the likeliest tokens after PROMPT, by their numbers."""
        answer = self.post(
            "/v1/completions",
            {
                "model": model,
                "prompt": PROMPT,
                "max_tokens": 1,
                "temperature": 0,
                "logprobs": 5,
                "return_tokens_as_token_ids": True,
            },
        ).json()
        top: Mapping[str, float] = answer["choices"][0]["logprobs"]["top_logprobs"][0]
        return {int(token.removeprefix("token_id:")): logprob for token, logprob in top.items()}


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    folder = tmp_path_factory.mktemp("adapters")
    tiny.make_adapter(folder / "plain", tiny_model, rank=32, alpha=16)
    tiny.make_adapter(
        folder / "patterned", tiny_model, rank=8, alpha=4, use_rslora=True, alpha_pattern={"q_proj": 12}, seed=2
    )
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, adapters: Path) -> Iterator[Server]:
    work = tmp_path_factory.mktemp("serve")
    hub = FakeHub.of(tiny_model)
    hub.gate.clear()
    port = free_port()
    names = {"half": "plain", "patterned-half": "patterned"}
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(work / "home"),
        "KAITO_TERMINATION_LOG": str(work / "termination"),
        "KAITO_ADAPTERS_DIR": str(adapters),
        "KAITO_ADAPTER_STRENGTHS": json.dumps(dict.fromkeys(names, 0.5)),
        "TMPDIR": str(work),
        "VLLM_CPU_KVCACHE_SPACE": "1",
    }
    command = [
        *(sys.executable, "-m", "kaito_runtime.serve.main"),
        *(f"--model={FakeHub.name}", f"--revision={COMMIT}", f"--code-revision={COMMIT}"),
        *(f"--download-dir={work / 'weights'}", f"--port={port}", "--host=127.0.0.1", "--served-model-name=tiny"),
        *("--dtype=float32", "--enforce-eager", "--max-model-len=auto", "--max-num-seqs=4", "--load-format=auto"),
        *("--lora-modules", *(f"{name}={adapters / of}" for name, of in names.items())),
    ]
    log = work / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    started = Server(f"http://127.0.0.1:{port}", process, log)
    try:
        wait_for(started, lambda: metric(requests.get(f"{started.url}/metrics", timeout=5).text, "bytes") > 0)
        for path in ("/metrics", "/health", "/v1/models"):
            started.before[path] = requests.get(started.url + path, timeout=5)
        started.before["/chat"] = started.post("/chat", {"prompt": "hi"})
        hub.gate.set()
        wait_for(started, lambda: requests.get(started.url + "/health", timeout=5).status_code == 200)
        yield started
    finally:
        hub.stop()
        if process.poll() is None:
            process.kill()
        process.wait(timeout=30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def metric(text: str, name: str) -> float:
    lines = text.splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"kaito_model_download_{name} ")))


def wait_for(server: Server, condition: Any) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        try:
            if condition():
                return
        except (requests.ConnectionError, requests.Timeout):
            pass  # Nothing listens yet, or it is busy with loading.
        time.sleep(0.2)
    pytest.fail(f"serve did not come so far:\n{server.log.read_text(errors='replace')[-6000:]}")


def test_tells_the_download_on_its_port_until_vllm_takes_it(server: Server, tiny_model: Path) -> None:
    total = sum(path.stat().st_size for path in tiny_model.iterdir())
    metrics = server.before["/metrics"]
    assert metrics.status_code == 200
    assert metric(metrics.text, "total_bytes") == total
    assert 0 < metric(metrics.text, "bytes") < total
    assert metric(metrics.text, "speed_bytes_per_second") >= 0
    assert metric(metrics.text, "remaining_seconds") != 0
    assert [server.before[path].status_code for path in ("/health", "/v1/models", "/chat")] == [503, 503, 503]
    assert server.before["/chat"].json()["error"]["message"] == "the model is being downloaded"
    assert "test/tiny: downloaded 0.00 of 0.01 GiB" in server.log.read_text(errors="replace")


def test_serves_the_model_and_every_adapter(server: Server) -> None:
    models = requests.get(server.url + "/v1/models", timeout=5).json()["data"]
    assert {model["id"] for model in models} == {"tiny", "half", "patterned-half"}


def test_chat_continues_a_prompt(server: Server) -> None:
    body = {"prompt": PROMPT, "generate_kwargs": {"max_new_tokens": 4, "do_sample": False}}
    answer = server.post("/chat", body)
    assert answer.status_code == 200
    same = {"model": "tiny", "prompt": PROMPT, "max_tokens": 4, "temperature": 0}
    completion = server.post("/v1/completions", same).json()["choices"][0]["text"]
    assert completion
    assert answer.json() == {"Result": PROMPT + completion}
    assert server.post("/chat", {**body, "return_full_text": False}).json() == {"Result": completion}


def test_chat_answers_messages_as_the_openai_api_does(server: Server) -> None:
    messages = [{"role": "user", "content": "what is a workspace?"}]
    answer = server.post("/chat", {"messages": messages, "generate_kwargs": {"max_new_tokens": 6, "do_sample": False}})
    same = {"model": "tiny", "messages": messages, "max_tokens": 6, "temperature": 0}
    expected = server.post("/v1/chat/completions", same).json()["choices"][0]["message"]["content"]
    assert expected
    assert answer.json() == {"Result": expected}


def test_chat_counts_the_prompt_in_when_max_length_is_given(server: Server) -> None:
    count = server.post("/tokenize", {"prompt": PROMPT}).json()["count"]
    body = {"prompt": PROMPT, "return_full_text": False, "generate_kwargs": {"do_sample": False}}
    lengths = {"max_length": count + 3, "max_new_tokens": 3}
    answers = [
        server.post("/chat", {**body, "generate_kwargs": {"do_sample": False, name: value, "ignore_eos": True}}).json()
        for name, value in lengths.items()
    ]
    assert answers[0] == answers[1]
    too_short = server.post("/chat", {**body, "generate_kwargs": {"max_length": count}})
    assert too_short.status_code == 400
    assert f"that has {count} tokens" in too_short.json()["detail"]


def test_chat_without_lengths_answers_a_prompt_that_almost_fills_the_context(server: Server) -> None:
    prompt = "Z" * (tiny.CONTEXT - 3)
    answer = server.post("/chat", {"prompt": prompt, "return_full_text": False})
    assert answer.status_code == 200, answer.text


def test_chat_asks_an_adapter_by_its_name(server: Server) -> None:
    body = {"prompt": PROMPT, "return_full_text": False, "generate_kwargs": {"max_new_tokens": 8, "do_sample": False}}
    answers = {model: server.post("/chat", {**body, "model": model}).json()["Result"] for model in ("tiny", "half")}
    assert answers["tiny"] != answers["half"]


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({}, 400, "Text generation parameter prompt required"),
        ({"generate_kwargs": {}}, 400, "Text generation parameter prompt required"),
        ({"prompt": "a", "generate_kwargs": {"foo": 1}}, 400, "generate_kwargs: unknown parameter 'foo'"),
        ({"prompt": "a", "generate_kwargs": {"num_beams": 4}}, 400, "generate_kwargs: num_beams 4 is not served"),
        ({"prompt": "a", "generate_kwargs": {"temperature": -1}}, 400, "temperature must be non-negative"),
        ({"prompt": "a", "model": "nobody"}, 404, "`nobody` does not exist"),
        ({"prompt": 5}, 422, "Input should be a valid string"),
        ({"prompt": "a", "stream": True}, 422, "Extra inputs are not permitted"),
        ([], 422, "Input should be an object"),
    ],
)
def test_chat_refuses(server: Server, body: object, status: int, detail: str) -> None:
    answer = server.post("/chat", body)
    assert answer.status_code == status
    assert detail in json.dumps(answer.json()["detail"])


def test_chat_refuses_what_is_no_json_and_other_methods(server: Server) -> None:
    assert requests.post(server.url + "/chat", data="{", timeout=5).status_code == 422
    other = requests.get(server.url + "/chat", timeout=5)
    assert (other.status_code, other.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(("adapter", "served"), [("plain", "half"), ("patterned", "patterned-half")])
def test_an_adapter_at_half_strength_adds_half_of_what_it_learned(
    server: Server, tiny_model: Path, adapters: Path, adapter: str, served: str
) -> None:
    expected = peft_logprobs(tiny_model, adapters / adapter, 0.5)
    full = peft_logprobs(tiny_model, adapters / adapter, 1.0)
    found = server.logprobs(served)
    assert found == pytest.approx({token: expected[token] for token in found}, abs=2e-3)
    assert max(abs(found[token] - full[token]) for token in found) > 0.05
    assert found != pytest.approx(server.logprobs("tiny"), abs=0.05)


def peft_logprobs(model: Path, adapter: Path, strength: float) -> dict[int, float]:
    """As PEFT computes them, with the scaling of every adapted layer multiplied in its own data."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = AutoModelForCausalLM.from_pretrained(str(model), dtype=torch.float32)
    adapted = PeftModel.from_pretrained(base, str(adapter))
    for module in adapted.modules():
        if hasattr(module, "lora_A"):
            module.scaling["default"] *= strength
    tokens = AutoTokenizer.from_pretrained(str(model))(PROMPT, return_tensors="pt")
    with torch.no_grad():
        logits = adapted(input_ids=tokens["input_ids"]).logits[0, -1]
    return dict(enumerate(torch.log_softmax(logits, dim=-1).tolist()))


def test_a_concurrent_crowd_is_served(server: Server) -> None:
    from concurrent.futures import ThreadPoolExecutor

    body = {"prompt": PROMPT, "generate_kwargs": {"max_new_tokens": 8}}
    with ThreadPoolExecutor(12) as pool:
        statuses = list(pool.map(lambda _: server.post("/chat", body).status_code, range(24)))
    assert statuses == [200] * 24


def test_sigterm_ends_it_within_seconds(server: Server) -> None:
    """The last one: the server is gone afterwards."""
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=30) == 0
    with pytest.raises(requests.ConnectionError):
        requests.get(server.url + "/health", timeout=5)
