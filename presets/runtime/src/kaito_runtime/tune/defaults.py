"""What holds where the user's configuration says nothing: KAITO's templates, and checkpoints in addition."""

from __future__ import annotations

import os
from typing import Any, Literal

Method = Literal["lora", "qlora"]

SAVE_SHARE = 0.1
"""A checkpoint after each tenth of the steps: a lost node costs a tenth of the training."""
LOG_SHARE = 0.01
KEPT_CHECKPOINTS = 2

_QUANTIZATION: dict[Method, dict[str, Any]] = {
    "lora": {"load_in_4bit": False},
    "qlora": {
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_compute_dtype": "bfloat16",
        "bnb_4bit_use_double_quant": True,
    },
}


def defaults(method: Method) -> dict[str, dict[str, Any]]:
    """The sections of a method, before the user's keys are laid over them."""
    return {
        "ModelConfig": {"torch_dtype": "bfloat16", "local_files_only": True, "device_map": "auto"},
        "QuantizationConfig": dict(_QUANTIZATION[method]),
        "LoraConfig": {"r": 8, "lora_alpha": 8, "lora_dropout": 0.0, **_target_modules()},
        "TrainingArguments": {
            "output_dir": "/mnt/results",
            "per_device_train_batch_size": 1,
            "ddp_find_unused_parameters": False,
            "save_strategy": "steps",
            "save_steps": SAVE_SHARE,
            "save_total_limit": KEPT_CHECKPOINTS,
            "logging_steps": LOG_SHARE,
            # A loss that is not a number ends the training; the filter would hide it.
            "logging_nan_inf_filter": False,
            "report_to": "none",
            "disable_tqdm": True,
        },
        "DatasetConfig": {"shuffle_dataset": True, "train_test_split": 1},
        "DataCollator": {"mlm": True},
    }


def _target_modules() -> dict[str, list[str]]:
    """KAITO's variable for models whose modules PEFT does not know."""
    names = [name.strip() for name in os.environ.get("DEFAULT_TARGET_MODULES", "").split(",") if name.strip()]
    return {"target_modules": names} if names else {}
