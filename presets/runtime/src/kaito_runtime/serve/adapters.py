"""LoRA adapters: which there are, whether they fit the model, and how strongly they are applied."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaito_runtime.outcome import RuntimeFailure, log
from kaito_runtime.serve.flags import Flags

CONFIG = "adapter_config.json"
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
HIDDEN = (".", "lost+found")
"""What volumes have of themselves."""
DEFAULT_RANK = 16
"""vLLM's default of --max-lora-rank."""
RANKS = (16, 32, 64, 128, 256, 320, 512)
"""What --max-lora-rank takes from there on (vllm/config/lora.py)."""


@dataclass(frozen=True)
class Adapter:
    name: str
    directory: Path
    config: Mapping[str, Any]

    @property
    def rank(self) -> int:
        """The largest of its modules."""
        pattern = self.config.get("rank_pattern") or {}
        return max([int(self.config["r"]), *map(int, pattern.values())])


def apply_adapters(
    flags: Flags, directory: Path, strengths: Mapping[str, float], model: Path | None, copies: Path
) -> None:
    """Completes vLLM's flags: adapters found below `directory`, strengths, and how many and how large they are.

    `model` is the base model's folder where there is one; scaled copies are put below `copies`.
    """
    modules = named_modules(flags.all("lora-modules"))
    listed = {path.resolve() for path in modules.values()}
    for found in found_adapters(directory):
        if found.name not in modules and found.resolve() not in listed:
            modules[found.name] = found
    strangers = sorted(set(strengths) - set(modules))
    if strangers:
        raise RuntimeFailure(
            "InvalidInput",
            f"KAITO_ADAPTER_STRENGTHS names {', '.join(strangers)}, the adapters are {', '.join(modules) or 'none'}",
        )
    if not modules:
        return
    base = base_config(model)
    adapters = []
    for name, path in modules.items():
        adapter = read_adapter(name, path)
        check_base(adapter, base)
        strength = strengths.get(name, 1.0)
        if strength != 1.0:
            adapter = scaled(adapter, strength, copies / name)
            log(f"adapter {name}: served at strength {strength:g}")
        adapters.append(adapter)
    flags.set("lora-modules", *(f"{adapter.name}={adapter.directory}" for adapter in adapters))
    if "enable-lora" not in flags and "no-enable-lora" not in flags:
        flags.set("enable-lora")
    _size_flags(flags, adapters)


def named_modules(values: Sequence[str]) -> dict[str, Path]:
    """Values of --lora-modules: NAME=DIR, or JSON with name and path."""
    modules: dict[str, Path] = {}
    for value in values:
        if value.startswith("{"):
            try:
                entry = json.loads(value)
                name, path = str(entry["name"]), str(entry["path"])
            except (ValueError, KeyError):
                raise RuntimeFailure(
                    "InvalidInput", f"--lora-modules {value}: must be JSON with name and path"
                ) from None
        else:
            name, equals, path = value.partition("=")
            if not (name and equals and path):
                raise RuntimeFailure("InvalidInput", f"--lora-modules {value}: must be NAME=DIR")
        if name in modules:
            raise RuntimeFailure("InvalidInput", f"--lora-modules: two adapters are named {name}")
        modules[name] = Path(path)
    return modules


def found_adapters(directory: Path) -> list[Path]:
    """Every folder below `directory`, named or not: one without an adapter in it is told, not skipped."""
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if path.is_dir() and not path.name.startswith(HIDDEN))


def read_strengths(text: str | None) -> dict[str, float]:
    """KAITO_ADAPTER_STRENGTHS: JSON, name → strength."""
    if not text:
        return {}
    problem = f'KAITO_ADAPTER_STRENGTHS={text}: must be JSON such as {{"my-adapter": 0.5}}'
    try:
        strengths = json.loads(text)
    except ValueError:
        raise RuntimeFailure("InvalidInput", problem) from None
    if not isinstance(strengths, dict):
        raise RuntimeFailure("InvalidInput", problem)
    for name, strength in strengths.items():
        if isinstance(strength, bool) or not isinstance(strength, int | float) or not math.isfinite(strength):
            raise RuntimeFailure("InvalidInput", f"KAITO_ADAPTER_STRENGTHS: {name}: {strength!r} is not a number")
    return {name: float(strength) for name, strength in strengths.items()}


def read_adapter(name: str, directory: Path) -> Adapter:
    """Reads and judges an adapter's files."""
    present = ", ".join(sorted(path.name for path in directory.iterdir())) if directory.is_dir() else "no such folder"

    def broken(problem: str) -> RuntimeFailure:
        return RuntimeFailure("InvalidInput", f"adapter {name}: {directory}: {problem}")

    try:
        config = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise broken(f"{CONFIG} is missing (there: {present or 'nothing'})") from None
    except (OSError, ValueError) as error:
        raise broken(f"{CONFIG} can't be read as JSON: {error}") from None
    if not isinstance(config, dict):
        raise broken(f"{CONFIG} must be a JSON object")
    if config.get("peft_type", "LORA") != "LORA":
        raise broken(f"{CONFIG}: peft_type {config['peft_type']}: only LORA can be served")
    if config.get("use_dora"):
        raise broken(f"{CONFIG}: use_dora: vLLM does not serve DoRA; train with use_dora: false")
    for key in ("r", "lora_alpha"):
        value = config.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or (key == "r" and value < 1):
            raise broken(f"{CONFIG}: {key}: {value!r} is not a positive number")
    if not any((directory / weights).is_file() for weights in WEIGHTS):
        raise broken(f"{WEIGHTS[0]} is missing (there: {present})")
    return Adapter(name, directory, config)


def base_config(model: Path | None) -> Mapping[str, Any] | None:
    """config.json of the base model; its language part, where a model has several."""
    if model is None or not (model / "config.json").is_file():
        return None
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    for section in ("text_config", "llm_config"):
        if isinstance(config.get(section), dict):
            return {**config, **config[section]}
    return dict(config)


def check_base(adapter: Adapter, base: Mapping[str, Any] | None) -> None:
    """Whether the adapter was made for a model of this shape; vLLM would fail later, and not name it."""
    weights = adapter.directory / WEIGHTS[0]
    hidden = (base or {}).get("hidden_size")
    if not isinstance(hidden, int) or not weights.is_file():
        return
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(weights), framework="numpy") as tensors:
            shapes = {key: tensors.get_slice(key).get_shape() for key in tensors.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise RuntimeFailure("InvalidInput", f"adapter {adapter.name}: {weights} can't be read: {error}") from None
    trained_on = adapter.config.get("base_model_name_or_path")
    for key, shape in shapes.items():
        # The attention's projections read the hidden state, whatever the model.
        reads_hidden = any(f".self_attn.{module}.lora_A" in key for module in ("q_proj", "k_proj", "v_proj"))
        if reads_hidden and shape[-1] != hidden:
            raise RuntimeFailure(
                "InvalidInput",
                f"adapter {adapter.name}: it was trained for another model ({trained_on}): "
                f"its hidden size is {shape[-1]}, that of the model served here is {hidden}",
            )


def scaled(adapter: Adapter, strength: float, target: Path) -> Adapter:
    """A copy of the adapter that is applied `strength` times as strongly.

    vLLM scales by lora_alpha / r, or by lora_alpha / sqrt(r) with rsLoRA, and alpha_pattern replaces lora_alpha for
    some modules; so multiplying these is exact. The weights are linked, not copied.
    """
    config = dict(adapter.config)
    config["lora_alpha"] = _number(config["lora_alpha"] * strength)
    pattern = config.get("alpha_pattern") or {}
    config["alpha_pattern"] = {module: _number(alpha * strength) for module, alpha in pattern.items()}
    if target.exists():
        shutil.rmtree(target)
    target.mkdir(parents=True)
    for file in adapter.directory.iterdir():
        if file.name != CONFIG:
            (target / file.name).symlink_to(file.resolve())
    (target / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    return Adapter(adapter.name, target, config)


def _number(value: float) -> float | int:
    return int(value) if float(value).is_integer() else value


def _size_flags(flags: Flags, adapters: Sequence[Adapter]) -> None:
    largest = max(adapters, key=lambda adapter: adapter.rank)
    if "max-lora-rank" not in flags and largest.rank > DEFAULT_RANK:
        rank = next((rank for rank in RANKS if rank >= largest.rank), None)
        if rank is None:
            raise RuntimeFailure(
                "InvalidInput", f"adapter {largest.name}: rank {largest.rank}: vLLM serves at most {RANKS[-1]}"
            )
        flags.set("max-lora-rank", str(rank))
    # By default only one adapter is at work at a time, and requests for the others wait for it.
    if "max-loras" not in flags and len(adapters) > 1:
        flags.set("max-loras", str(len(adapters)))
