"""Makes the libraries' objects from the configuration."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable
from typing import Any

from kaito_runtime.outcome import log
from kaito_runtime.tune.config import TrainingConfig
from kaito_runtime.tune.failures import invalid


def arguments_of(config: TrainingConfig, output: str) -> Any:
    """TRL's arguments, with the output folder that the Workspace gives."""
    import torch
    from trl import SFTConfig

    values = config.training | {"output_dir": output, "dataset_text_field": "text"}
    if not torch.cuda.is_available():
        values["use_cpu"] = True
    elif not torch.cuda.is_bf16_supported(including_emulation=False) and "bf16" not in values:
        log("this GPU has no bfloat16: training in float16")
        values |= {"bf16": False, "fp16": True}
    multiple = config.collator.get("pad_to_multiple_of")
    if multiple is not None:
        values.setdefault("pad_to_multiple_of", multiple)
    if config.collator.get("mlm") and "DataCollator.mlm" in config.asked:
        log("DataCollator.mlm is taken as false: the model predicts the next token, there are no masked ones")
    return configured("TrainingArguments", lambda: SFTConfig(**values))


def model_of(config: TrainingConfig, folder: str, arguments: Any) -> Any:
    """The base model, quantized where the configuration says so, on this process's device."""
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig
    from transformers.utils import logging as transformers_logging

    quantization = None
    if config.method == "qlora":
        values = {key: value for key, value in config.quantization.items() if key != "quant_method"}
        if arguments.fp16 and values.get("bnb_4bit_compute_dtype") == "bfloat16":
            values["bnb_4bit_compute_dtype"] = "float16"
        quantization = configured("QuantizationConfig", lambda: BitsAndBytesConfig(**values))
    named = config.model.dtype or config.model.torch_dtype or "auto"
    if arguments.fp16 and named == "bfloat16":
        named = "float16"
    extras = {"attn_implementation": config.model.attn_implementation} if config.model.attn_implementation else {}
    # Its own log line says that it loads; bars are for terminals.
    transformers_logging.disable_progress_bar()
    log(f"loading the base model from {folder}")
    return configured(
        "ModelConfig",
        lambda: AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=named if named == "auto" else getattr(torch, named),
            quantization_config=quantization,
            device_map=_device_map(config, arguments),
            trust_remote_code=config.model.trust_remote_code,
            local_files_only=True,
            **extras,
        ),
    )


def _device_map(config: TrainingConfig, arguments: Any) -> Any:
    """Each process has its own device; a single process may spread the model over all GPUs, as the user says."""
    if arguments.device.type == "cpu":
        return {"": "cpu"}
    if arguments.world_size > 1:
        return {"": arguments.local_process_index}
    return config.model.device_map


def lora_of(config: TrainingConfig, model: Any) -> Any:
    """The adapter's configuration. By default, the modules that PEFT knows for the model, else all linear layers."""
    from peft import LoraConfig
    from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as MAPPING

    hints = typing.get_type_hints(LoraConfig)
    values = {key: _built(hints[key], value) for key, value in config.lora.items()}
    values |= {"task_type": "CAUSAL_LM", "base_model_name_or_path": None, "inference_mode": False}
    if values.get("target_modules") is None and values.get("target_parameters") is None:
        known = MAPPING.get(model.config.model_type)
        values["target_modules"] = None if known else "all-linear"
    for key, servable in (("use_dora", False), ("lora_bias", False), ("bias", "none"), ("modules_to_save", None)):
        if values.get(key, servable) != servable:
            log(f"LoraConfig.{key}={values[key]}: vLLM, and so the preset, does not serve such adapters")
    return configured("LoraConfig", lambda: LoraConfig(**values))


def _built(hint: Any, value: Any) -> Any:
    """A map for a field that has a class of its own becomes one of that class."""
    if isinstance(value, dict):
        for member in typing.get_args(hint) or (hint,):
            if dataclasses.is_dataclass(member) and isinstance(member, type):
                return member(**value)
    return value


def configured(what: str, make: Callable[[], Any]) -> Any:
    """What the libraries refuse when they are given the configuration is for the user to change."""
    import jinja2

    try:
        return make()
    except jinja2.TemplateError as error:
        raise invalid(
            f"the chat template refuses a row of the dataset: {error}",
            "Correct the order of roles, or set ModelConfig.chat_template.",
        ) from error
    except (ValueError, TypeError, ImportError) as error:
        raise invalid(
            f"{what}: {' '.join(str(error).split())}", "Correct the ConfigMap that tuning.config names."
        ) from error
