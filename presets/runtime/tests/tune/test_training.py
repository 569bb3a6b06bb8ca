"""Real trainings of a tiny model on the CPU, by TRL, PEFT and bitsandbytes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kaito_runtime.outcome import EXIT_FINAL, EXIT_RETRY, conclude
from kaito_runtime.tune.main import tune
from kaito_runtime.tune.output_folder import CHECKPOINT_MARK, COMPLETED, MARK

STEPS = 8
ANSWER = "a durable workflow serves the model and the model answers what the user asks"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    rows = [
        {"messages": [{"role": "user", "content": f"what is {number}?"}, {"role": "assistant", "content": ANSWER}]}
        for number in range(16)
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


class Training:
    """One call of `tune` with its files."""

    def __init__(self, model: Path, data: Path, folder: Path) -> None:
        self.model, self.data, self.folder = model, data, folder
        self.output = folder / "results"
        self.config = folder / "training_config.yaml"
        self.log = folder / "termination-log"
        self.configure(TrainingArguments={"save_steps": 1})

    def configure(self, **sections: dict[str, Any]) -> None:
        training = {"max_steps": STEPS, "learning_rate": "5e-3", "lr_scheduler_type": "constant"}
        sections["TrainingArguments"] = training | sections.get("TrainingArguments", {})
        self.config.write_text(json.dumps({"training_config": sections}))

    def arguments(self, method: str = "lora", *more: str) -> list[str]:
        return [
            f"--method={method}",
            f"--model={self.model}",
            "--preset=tiny-preset",
            f"--data={self.data}",
            f"--config={self.config}",
            f"--output={self.output}",
            *more,
        ]

    def run(self, method: str = "lora", *more: str) -> tuple[int, dict[str, Any]]:
        before = signal.getsignal(signal.SIGTERM)
        try:
            code = conclude(lambda: tune(self.arguments(method, *more)))
        finally:
            signal.signal(signal.SIGTERM, before)
        return code, json.loads(self.log.read_text())

    def start(self, *more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "kaito_runtime.tune.main", *self.arguments("lora", *more)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def json(self, name: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads((self.output / name).read_text())
        return value


@pytest.fixture
def training(tiny_model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Training:
    made = Training(tiny_model, data, tmp_path)
    monkeypatch.setenv("KAITO_TERMINATION_LOG", str(made.log))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "src"))
    # A killed process leaves its temporary folder; pytest removes this one.
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    # Processes of several import the same libraries: compiled once is quicker.
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    return made


def progress(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line.startswith("KAITO_PROGRESS "):
            yield json.loads(line.removeprefix("KAITO_PROGRESS "))


def weights(path: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(path / "adapter_model.safetensors"))


def until(process: subprocess.Popen[str], step: int) -> None:
    """Reads the progress until a checkpoint of `step` or later is told."""
    assert process.stdout is not None
    assert any(line.get("checkpoint", 0) >= step for line in progress(process.stdout))


@pytest.mark.parametrize("method", ["LoRA", "qlora"])
def test_an_adapter_is_trained(training: Training, method: str, capfd: pytest.CaptureFixture[str]) -> None:
    code, result = training.run(method)
    assert code == 0, result
    lines = list(progress(iter(capfd.readouterr().out.splitlines())))
    assert lines[0] == {"step": 0, "steps": STEPS, "epoch": 0.0}
    assert [line["step"] for line in lines] == list(range(STEPS + 1))
    assert lines[-1].keys() == {"step", "steps", "epoch", "loss", "tokensPerSecond", "etaSeconds", "checkpoint"}
    assert lines[-1]["loss"] < lines[1]["loss"] - 0.5
    assert result.keys() == {"steps", "loss", "tokensPerSecond", "dataDigest", "trainedSeconds"}
    assert (result["steps"], result["loss"]) == (STEPS, lines[-1]["loss"])
    tensors = weights(training.output)
    assert all(bool(tensor.any()) for name, tensor in tensors.items() if "lora_B" in name)
    assert not list(training.output.glob("checkpoint-*"))
    manifest = training.json("manifest.json")
    assert (manifest["baseModel"], manifest["method"]) == ("tiny-preset", method.lower())
    assert manifest["dataDigest"] == result["dataDigest"]
    assert training.json("adapter_config.json")["base_model_name_or_path"] == "tiny-preset"
    assert training.json("metrics.json")["tokens"] > 0
    assert (training.output / COMPLETED).read_text().startswith("Fine-Tuning completed at ")
    check_it_can_be_served(training)


def check_it_can_be_served(training: Training) -> None:
    """PEFT loads the adapter and its answers differ from the base model's; vLLM takes its configuration."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM
    from vllm.lora.peft_helper import PEFTHelper

    base = AutoModelForCausalLM.from_pretrained(str(training.model), dtype=torch.float32)
    tokens = torch.tensor([[5, 6, 7]])
    plain = base(tokens).logits
    adapted = PeftModel.from_pretrained(base, str(training.output))(tokens).logits
    assert not torch.allclose(plain, adapted, atol=1e-3)
    helper = PEFTHelper.from_local_dir(str(training.output), max_position_embeddings=512)
    assert (helper.r, helper.lora_alpha) == (8, 8)


def test_a_complete_training_is_not_done_again_and_another_one_is(training: Training) -> None:
    training.configure(TrainingArguments={"max_steps": 1})
    _, first = training.run()
    made = (training.output / "adapter_model.safetensors").stat().st_mtime_ns
    (training.output / "mine.txt").write_text("the user's own")
    training.configure(TrainingArguments={"max_steps": 1, "logging_steps": 1, "save_total_limit": 3})
    assert training.run() == (0, first)
    assert (training.output / "adapter_model.safetensors").stat().st_mtime_ns == made
    training.configure(TrainingArguments={"max_steps": 2, "save_strategy": "steps", "save_steps": 1})
    code, second = training.run()
    assert (code, second["steps"]) == (0, 2)
    assert "resumedFrom" not in second
    assert (training.output / "mine.txt").exists()
    # Who says when to save keeps what is saved.
    assert len(list(training.output.glob("checkpoint-*"))) == 2
    (training.output / "adapter_model.safetensors").write_bytes(b"broken")
    code, third = training.run()
    assert (code, third["steps"], third["resumedFrom"]) == (0, 2, 2)
    assert weights(training.output)


def test_a_killed_training_goes_on_from_its_last_whole_checkpoint(training: Training, tmp_path: Path) -> None:
    process = training.start()
    until(process, STEPS // 2)
    process.kill()
    process.wait()
    assert not (training.output / COMPLETED).exists()
    folders = sorted(training.output.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    whole = [folder for folder in folders if (folder / CHECKPOINT_MARK).exists()][-1]
    half_written = training.output / "checkpoint-100"
    shutil.copytree(whole, half_written)
    (half_written / CHECKPOINT_MARK).unlink()
    (half_written / "adapter_model.safetensors").write_bytes(b"half")
    step = int(whole.name.rpartition("-")[2])
    assert STEPS // 2 <= step < STEPS
    code, result = training.run()
    assert code == 0, result
    assert (result["steps"], result["resumedFrom"]) == (STEPS, step)
    history = [entry["step"] for entry in training.json("metrics.json")["history"] if "loss" in entry]
    assert history == list(range(1, STEPS + 1))
    training.output = tmp_path / "undisturbed"
    _, expected = training.run()
    assert result["loss"] == pytest.approx(expected["loss"], rel=0.01)


def test_a_training_that_is_told_to_stop_saves_first(training: Training) -> None:
    training.configure(TrainingArguments={"max_steps": 1000, "save_strategy": "no"})
    process = training.start()
    assert process.stdout is not None
    assert next(line for line in progress(process.stdout) if line["step"] >= 2)
    process.send_signal(signal.SIGTERM)
    rest = list(progress(process.stdout))
    assert process.wait(timeout=60) == EXIT_RETRY
    told = json.loads(training.log.read_text())
    step = int(max(training.output.glob("checkpoint-*")).name.rpartition("-")[2])
    assert told["cause"] == "TrainingCrashed"
    assert f"at step {step} of 1000; checkpoint-{step} is kept" in told["message"]
    assert all(line["step"] <= step for line in rest)


def test_two_processes_train_together(training: Training) -> None:
    training.configure(TrainingArguments={"max_steps": 3}, DatasetConfig={"train_test_split": 0.75})
    code, result = training.run("lora", "--processes=2")
    assert code == 0, result
    assert result["steps"] == 3
    manifest = training.json("manifest.json")
    assert manifest["processes"] == 2
    assert manifest["dataset"]["rows"] == 16
    assert weights(training.output)


def test_what_a_process_of_several_says_is_told(training: Training) -> None:
    training.configure(LoraConfig={"target_modules": ["absent_proj"]})
    code, result = training.run("lora", "--processes=2")
    assert (code, result["cause"]) == (EXIT_FINAL, "InvalidInput")
    assert "absent_proj" in result["message"]


@pytest.mark.parametrize(
    ("sections", "rows", "message"),
    [
        ({"TrainingArguments": {"learning_rte": 1}}, None, "learning_rte: unknown; did you mean learning_rate?"),
        ({"LoraConfig": {"target_modules": ["absent_proj"]}}, None, "absent_proj"),
        ({"TrainingArguments": {"optim": "adamw_torch", "optim_args": "x"}}, [{"a": "b"}], "columns are a"),
        ({"TrainingArguments": {"learning_rate": 1e38, "max_grad_norm": 0}}, None, "the loss is"),
        ({"TrainingArguments": {"packing": True, "max_length": None}}, None, "max_length"),
        ({"ModelConfig": {"chat_template": "/absent.jinja"}}, None, "chat_template: /absent.jinja is neither"),
        ({"ModelConfig": {"chat_template": "{{ raise_exception('odd roles') }}"}}, None, "odd roles"),
        ({"DatasetConfig": {"train_test_split": 0.001}}, None, "leaves 0 of 16 rows"),
        (
            {"TrainingArguments": {"max_length": 1}},
            [{"prompt": "a b c", "completion": "d"}],
            "no row has anything to learn",
        ),
    ],
)
def test_what_the_user_has_to_change_is_not_tried_again(
    training: Training, sections: dict[str, Any], rows: list[dict[str, Any]] | None, message: str
) -> None:
    training.configure(**sections)
    if rows is not None:
        (training.data / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, result = training.run()
    assert (code, result["cause"]) == (EXIT_FINAL, "InvalidInput"), result
    assert message in result["message"]


def test_checkpoints_of_another_program_are_left_alone(training: Training) -> None:
    foreign = training.output / "checkpoint-7" / "weights.bin"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"somebody's")
    code, result = training.run()
    assert (code, result["cause"]) == (EXIT_FINAL, "InvalidInput")
    assert "holds checkpoint-7, which another program made" in result["message"]
    assert foreign.read_bytes() == b"somebody's"
    assert not (training.output / MARK).exists()


def test_a_lack_of_memory_is_told_as_such(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from transformers import LlamaForCausalLM

    forward = LlamaForCausalLM.forward

    def hungry(self: Any, *arguments: Any, **named: Any) -> Any:
        # More than any machine has: the allocator itself refuses.
        torch.empty(1 << 55, dtype=torch.uint8)
        return forward(self, *arguments, **named)

    monkeypatch.setattr(LlamaForCausalLM, "forward", hungry)
    monkeypatch.setattr("transformers.models.llama.modeling_llama.LlamaModel.forward", hungry)
    code, result = training.run()
    assert (code, result["cause"]) == (EXIT_FINAL, "OutOfMemory"), result
    assert "per_device_train_batch_size" in result["remedy"]
    assert "qlora" in result["remedy"]


def test_a_crash_is_told_with_its_last_lines(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: Any, **_named: Any) -> Any:
        raise KeyError("a defect of a library")

    monkeypatch.setattr("transformers.models.llama.modeling_llama.LlamaModel.forward", broken)
    code, result = training.run()
    assert (code, result["cause"]) == (EXIT_RETRY, "TrainingCrashed")
    assert "a defect of a library" in result["message"]
    assert "test_training.py" in result["message"]
    assert os.environ["KAITO_TERMINATION_LOG"] == str(training.log)
