"""training_config.yaml: KAITO's files work as they are, mistakes are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaito_runtime.outcome import RuntimeFailure
from kaito_runtime.tune import describe_config
from kaito_runtime.tune.config import TrainingConfig, method_of, parse_config

DESCRIPTION = Path(__file__).parents[3] / "data" / "training-config.json"

KAITO_QLORA = """
training_config:
  ModelConfig:
    torch_dtype: "bfloat16"
    local_files_only: true
    device_map: "auto"
  QuantizationConfig:
    load_in_4bit: true
    bnb_4bit_quant_type: "nf4"
    bnb_4bit_compute_dtype: "bfloat16"
    bnb_4bit_use_double_quant: true
  LoraConfig:
    r: 8
    lora_alpha: 8
    lora_dropout: 0.0
    target_modules: ["q_proj", "k_proj", "v_proj", "o_proj"]
  TrainingArguments:
    output_dir: "/mnt/results"
    ddp_find_unused_parameters: false
    save_strategy: "epoch"
    per_device_train_batch_size: 2
  DataCollator:
    mlm: true
  DatasetConfig:
    shuffle_dataset: true
    train_test_split: 1
"""


def refusal(text: str, method: str = "lora") -> str:
    with pytest.raises(RuntimeFailure) as caught:
        parse_config(text, method_of(method))
    assert caught.value.cause == "InvalidInput"
    assert not caught.value.retryable
    return caught.value.message


def accepted(body: str, method: str = "lora") -> TrainingConfig:
    return parse_config(f"training_config:\n{body}", method_of(method))


def test_kaitos_example_is_taken_as_it_is() -> None:
    config = parse_config(KAITO_QLORA, "qlora")
    assert config.lora["target_modules"] == ["q_proj", "k_proj", "v_proj", "o_proj"]
    assert config.training["save_strategy"] == "epoch"
    assert "save_steps" not in config.training
    assert "save_total_limit" not in config.training
    assert config.dataset.train_test_split == 1


def test_defaults_keep_checkpoints() -> None:
    config = parse_config("", "qlora")
    assert config.quantization["bnb_4bit_quant_type"] == "nf4"
    assert (config.training["save_strategy"], config.training["save_steps"], config.training["save_total_limit"]) == (
        "steps",
        0.1,
        2,
    )
    assert config.lora == {"r": 8, "lora_alpha": 8, "lora_dropout": 0.0}


def test_target_modules_of_the_environment_are_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEFAULT_TARGET_MODULES", "k_proj, q_proj")
    assert parse_config("", "lora").lora["target_modules"] == ["k_proj", "q_proj"]


def test_the_method_is_read_in_any_case() -> None:
    assert [method_of("LoRA"), method_of("QLoRA"), method_of("qlora")] == ["lora", "qlora", "qlora"]


def test_numbers_that_yaml_reads_as_text_are_numbers() -> None:
    config = accepted("  TrainingArguments: {learning_rate: 2e-5, max_steps: '10', save_strategy: no, bf16: 'true'}")
    assert config.training["learning_rate"] == 2e-5
    assert config.training["max_steps"] == 10
    assert config.training["save_strategy"] == "no"
    assert config.training["bf16"] is True


def test_earlier_names_have_their_present_meaning() -> None:
    config = accepted("  TrainingArguments: {max_seq_length: 512, evaluation_strategy: steps, group_by_length: true}")
    assert config.training["max_length"] == 512
    assert config.training["eval_strategy"] == "steps"
    assert config.training["train_sampling_strategy"] == "group_by_length"


def test_a_held_back_part_is_evaluated() -> None:
    config = accepted("  DatasetConfig: {train_test_split: 0.9}\n  TrainingArguments: {per_device_train_batch_size: 4}")
    assert config.training["eval_strategy"] == "epoch"
    assert config.training["per_device_eval_batch_size"] == 4


def test_8bit_takes_the_place_of_the_default_4bit() -> None:
    config = accepted("  QuantizationConfig: {load_in_8bit: true}", "qlora")
    assert (config.quantization["load_in_4bit"], config.quantization["load_in_8bit"]) == (False, True)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "  TrainingArguments: {learning_rte: 1}",
            "TrainingArguments.learning_rte: unknown; did you mean learning_rate",
        ),
        ("  LoraConfg: {r: 8}", "LoraConfg: unknown section; did you mean LoraConfig?"),
        ("  TrainingArguments: {lora_alpha: 8}", "TrainingArguments.lora_alpha: unknown; it is a key of LoraConfig"),
        ("  LoraConfig: {r: eight}", "LoraConfig.r: 'eight' is not of type int"),
        ("  LoraConfig: {r: 1.5}", "LoraConfig.r: 1.5 is not of type int"),
        ("  LoraConfig: {r: true}", "LoraConfig.r: True is not of type int"),
        ("  LoraConfig: {init_lora_weights: pissa}", "LoraConfig.init_lora_weights: 'pissa' is not of type"),
        ("  TrainingArguments: {lr_scheduler_type: cosin}", "did you mean cosine?"),
        ("  TrainingArguments: {max_seq_length: 1, max_length: 2}", "is the earlier name of max_length"),
        (
            "  QuantizationConfig: {load_in_4bit: 'maybe'}",
            "QuantizationConfig.load_in_4bit: 'maybe' is not of type bool",
        ),
        ("  TrainingArguments: {output_dir: /mnt}", "output_dir: /mnt is not a directory under /mnt"),
        ("  TrainingArguments: {output_dir: /mnt/../etc}", "is not a directory under /mnt"),
        ("  TrainingArguments: {output_dir: /data}", "output_dir: /data is not a directory under /mnt"),
        ("  DatasetConfig: {train_test_split: 0}", "DatasetConfig.train_test_split: 0.0 is not in (0, 1]"),
        ("  QuantizationConfig: {load_in_4bit: true}", "load_in_4bit: must not be true with method lora"),
        ("  ModelConfig: {load_in_4bit: true}", "ModelConfig.load_in_4bit: quantization is set in QuantizationConfig"),
        ("  LoraConfig: [r]", "LoraConfig: ['r'] is not a map"),
    ],
)
def test_a_mistake_is_named(body: str, message: str) -> None:
    assert message in refusal(f"training_config:\n{body}")


def test_qlora_needs_one_quantization() -> None:
    assert "needs load_in_4bit or load_in_8bit" in refusal(
        "training_config: {QuantizationConfig: {load_in_4bit: false}}", "qlora"
    )
    both = "training_config: {QuantizationConfig: {load_in_4bit: true, load_in_8bit: true}}"
    assert "both true" in refusal(both, "qlora")


def test_all_mistakes_are_told_at_once() -> None:
    message = refusal("training_config: {LoraConfig: {q: 1}, DataCollator: {mml: true}, Other: {}}")
    assert all(name in message for name in ("LoraConfig.q", "DataCollator.mml", "Other: unknown section"))


@pytest.mark.parametrize(
    "text", ["- a", "training_config: 3", "training_confg: {}", "a: [", "{training_config: {}, b: 1}"]
)
def test_a_file_of_another_shape_is_refused(text: str) -> None:
    assert "training_config" in refusal(text)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(RuntimeFailure, match="--method=dora: is none of lora, qlora"):
        method_of("dora")


def test_the_committed_description_is_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEFAULT_TARGET_MODULES", raising=False)
    assert DESCRIPTION.read_text(encoding="utf-8") == describe_config.text(), (
        "python -m kaito_runtime.tune.describe_config > presets/data/training-config.json"
    )
