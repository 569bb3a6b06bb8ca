"""Prints what training_config.yaml may hold, for programs that do not have the libraries."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from typing import Any

from kaito_runtime.tune.defaults import defaults
from kaito_runtime.tune.sections import keys

LIBRARIES = ("peft", "transformers", "trl")


def description() -> dict[str, Any]:
    """Each section's keys with the types that they take, and each method's defaults."""
    return {
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "sections": {name: {key: str(kind) for key, kind in section.items()} for name, section in keys().items()},
        "defaults": {"lora": defaults("lora"), "qlora": defaults("qlora")},
    }


def text() -> str:
    """The description as it lies in presets/data/training-config.json."""
    return json.dumps(description(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
