"""The sections of `training_config` and their keys, taken from the classes that they fill."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from dataclasses import dataclass
from typing import Any

from kaito_runtime.tune.kinds import Kind, kind_of_default, kind_of_hint

DTYPES = ("auto", "bfloat16", "float16", "float32")


@dataclass(frozen=True)
class ModelConfig:
    """How the base model is loaded. Weights come from the Workspace; the keys about downloads are KAITO's."""

    torch_dtype: str | None = None
    dtype: str | None = None
    device_map: str | dict[str, Any] | None = "auto"
    attn_implementation: str | None = None
    trust_remote_code: bool = False
    chat_template: str | None = None
    revision: str = "main"
    pretrained_model_name_or_path: str | None = None
    local_files_only: bool = False
    cache_dir: str | None = None
    force_download: bool = False
    resume_download: bool = False
    proxies: str | None = None
    output_loading_info: bool = False
    from_tf: bool = False
    load_in_4bit: bool = False
    load_in_8bit: bool = False


@dataclass(frozen=True)
class DatasetConfig:
    """Which files and columns are trained on, and how much is held back."""

    dataset_path: str | None = None
    dataset_extension: str | None = None
    shuffle_dataset: bool = True
    shuffle_seed: int = 42
    context_column: str | None = None
    response_column: str = "text"
    messages_column: str | None = None
    train_test_split: float = 1.0


RENAMED: dict[str, dict[str, str]] = {
    "TrainingArguments": {
        "evaluation_strategy": "eval_strategy",
        "max_seq_length": "max_length",
        "no_cuda": "use_cpu",
        "warmup_ratio": "warmup_steps",
        "per_gpu_train_batch_size": "per_device_train_batch_size",
        "per_gpu_eval_batch_size": "per_device_eval_batch_size",
    },
    "DataCollator": {},
}
"""Names of earlier releases of the libraries, which KAITO's users have in their ConfigMaps."""

RETIRED: dict[str, dict[str, str]] = {
    "TrainingArguments": {
        "overwrite_output_dir": "bool",
        "logging_dir": "str | null",
        "save_safetensors": "bool",
        "group_by_length": "bool",
    },
}
"""Keys that the libraries no longer have. `group_by_length` is translated, the others have no effect."""

SECTIONS = ("ModelConfig", "QuantizationConfig", "LoraConfig", "TrainingArguments", "DatasetConfig", "DataCollator")


@functools.cache
def keys() -> dict[str, dict[str, Kind]]:
    """Every section's keys, each with what it takes. Imports the libraries, which takes seconds."""
    from peft import LoraConfig
    from transformers import BitsAndBytesConfig, DataCollatorForLanguageModeling
    from trl import SFTConfig

    training = {**_of_dataclass(SFTConfig), "group_by_length": Kind(frozenset({"bool"}))}
    for key, kind in RETIRED["TrainingArguments"].items():
        training[key] = Kind(frozenset(kind.split(" | ")))
    for old, new in RENAMED["TrainingArguments"].items():
        training[old] = training[new]
    quantization = _of_parameters(BitsAndBytesConfig.__init__)
    quantization |= {
        "quant_method": Kind(frozenset(), frozenset({"bitsandbytes"})),
        "bnb_4bit_quant_type": Kind(frozenset(), frozenset({"fp4", "nf4"})),
        "llm_int8_skip_modules": Kind(frozenset({"list[str]", "null"})),
        "bnb_4bit_compute_dtype": Kind(frozenset({"null"}), frozenset(DTYPES[1:])),
    }
    lora = _of_dataclass(LoraConfig) | {
        # The other ways to begin change the base's weights too: the adapter would not fit the base that is served.
        "init_lora_weights": Kind(frozenset({"bool"}), frozenset({"gaussian", "orthogonal"})),
        "peft_type": Kind(frozenset({"null"}), frozenset({"LORA"})),
        "task_type": Kind(frozenset({"null"}), frozenset({"CAUSAL_LM"})),
    }
    collator = _of_dataclass(DataCollatorForLanguageModeling)
    collator.pop("tokenizer", None)
    model = _of_dataclass(ModelConfig)
    model |= {name: Kind(frozenset({"null"}), frozenset(DTYPES)) for name in ("torch_dtype", "dtype")}
    return {
        "ModelConfig": model,
        "QuantizationConfig": quantization,
        "LoraConfig": lora,
        "TrainingArguments": training,
        "DatasetConfig": _of_dataclass(DatasetConfig),
        "DataCollator": collator,
    }


def _of_dataclass(cls: Any) -> dict[str, Kind]:
    hints = typing.get_type_hints(cls)
    return {field.name: kind_of_hint(hints[field.name]) for field in dataclasses.fields(cls) if field.init}


def _of_parameters(function: Any) -> dict[str, Kind]:
    parameters = inspect.signature(function).parameters.values()
    return {
        parameter.name: kind_of_default(parameter.default)
        for parameter in parameters
        if parameter.default is not inspect.Parameter.empty
    }
