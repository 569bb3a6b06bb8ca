"""Adapters as training leaves them."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file


def make_adapter(folder: Path, *, seed: int = 0, megabytes: int = 20) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    weights = torch.rand(megabytes * 250_000, generator=torch.Generator().manual_seed(seed))
    save_file({"lora_A": weights}, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 8}))
    manifest = {
        "preset": "tiny",
        "baseModel": "org/tiny",
        "baseRevision": "abc",
        "method": "qlora",
        "steps": 10,
        "loss": 2.5,
    }
    (folder / "manifest.json").write_text(json.dumps({**manifest, "dataDigest": "sha256:00"}))
    return folder
