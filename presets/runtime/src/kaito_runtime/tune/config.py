"""Reads training_config.yaml: every key is checked by name and type, then laid over the method's defaults."""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from kaito_runtime.outcome import RuntimeFailure, log
from kaito_runtime.tune.defaults import Method, defaults
from kaito_runtime.tune.failures import invalid
from kaito_runtime.tune.kinds import Mismatch, shown
from kaito_runtime.tune.sections import RENAMED, SECTIONS, DatasetConfig, ModelConfig, keys

METHODS = ("lora", "qlora")
ROOT = "training_config"
_REMEDY = "Correct the ConfigMap that tuning.config names (key training_config.yaml)."
_SHOWN_PROBLEMS = 8


@dataclass(frozen=True)
class TrainingConfig:
    """The effective parameters. The last four are keyword arguments of the libraries' classes."""

    method: Method
    model: ModelConfig
    dataset: DatasetConfig
    quantization: dict[str, Any]
    lora: dict[str, Any]
    training: dict[str, Any]
    collator: dict[str, Any]
    asked: frozenset[str]
    """What the user's file sets, as "Section.key", by the names that the libraries have now."""

    def parameters(self) -> dict[str, Any]:
        """All of it, for the manifest and for telling trainings apart."""
        return {
            "ModelConfig": dataclasses.asdict(self.model),
            "QuantizationConfig": self.quantization,
            "LoraConfig": self.lora,
            "TrainingArguments": self.training,
            "DatasetConfig": dataclasses.asdict(self.dataset),
            "DataCollator": self.collator,
        }


def method_of(text: str) -> Method:
    """The method in any case, as users write it."""
    match text.lower():
        case "lora":
            return "lora"
        case "qlora":
            return "qlora"
        case _:
            raise invalid(f"--method={text}: is none of {', '.join(METHODS)}", "Set tuning.method to lora or qlora.")


def read_config(path: Path, method: Method | None) -> TrainingConfig:
    """The configuration at `path`; without a file, the defaults hold. Without a method, the one that the file fits."""
    if not path.exists():
        log(f"{path} does not exist: the defaults hold")
        return parse_config("", method)
    return parse_config(path.read_text(encoding="utf-8"), method)


def parse_config(text: str, method: Method | None) -> TrainingConfig:
    """As `read_config`, from the file's text."""
    user = _checked(_root(text))
    if method is None:
        quantized = user.get("QuantizationConfig", {})
        method = "qlora" if quantized.get("load_in_4bit") or quantized.get("load_in_8bit") else "lora"
    merged = {name: section | user.get(name, {}) for name, section in defaults(method).items()}
    asked = frozenset(f"{name}.{key}" for name, section in user.items() for key in section)
    _settle_quantization(merged, asked, method)
    _settle_training(merged["TrainingArguments"], merged["DatasetConfig"], asked)
    share = merged["DatasetConfig"]["train_test_split"]
    if not 0 < share <= 1:
        raise _refused(
            [f"DatasetConfig.train_test_split: {merged['DatasetConfig']['train_test_split']} is not in (0, 1]"]
        )
    _check_output(merged["TrainingArguments"]["output_dir"])
    return TrainingConfig(
        method=method,
        model=ModelConfig(**merged["ModelConfig"]),
        dataset=DatasetConfig(**merged["DatasetConfig"]),
        quantization=merged["QuantizationConfig"],
        lora=merged["LoraConfig"],
        training=merged["TrainingArguments"],
        collator=merged["DataCollator"],
        asked=asked,
    )


def _root(text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _refused([f"training_config.yaml is not YAML: {' '.join(str(error).split())}"]) from error
    if not isinstance(document, dict) or not isinstance(document.get(ROOT, {}) or {}, dict):
        raise _refused([f"training_config.yaml: expected a map with the key {ROOT} that holds a map"])
    others = [key for key in document if key != ROOT]
    if others or ROOT not in document:
        found = ", ".join(map(str, others)) or "nothing"
        raise _refused([f"training_config.yaml: expected the one key {ROOT}, found {found}"])
    return document[ROOT] or {}


def _checked(root: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The user's sections with values as the libraries want them, or all that is wrong with them."""
    problems: list[str] = []
    sections: dict[str, dict[str, Any]] = {}
    for name, section in root.items():
        if name not in SECTIONS:
            problems.append(f"{name}: unknown section{_near(str(name), SECTIONS)}; there are {', '.join(SECTIONS)}")
        elif section is not None and not isinstance(section, dict):
            problems.append(f"{name}: {shown(section)} is not a map")
        else:
            sections[name] = _checked_section(name, section or {}, problems)
    if problems:
        raise _refused(problems)
    return sections


def _checked_section(name: str, section: dict[Any, Any], problems: list[str]) -> dict[str, Any]:
    known = keys()[name]
    renamed = RENAMED.get(name, {})
    values: dict[str, Any] = {}
    for key, value in section.items():
        if key not in known:
            elsewhere = [other for other in SECTIONS if key in keys()[other]]
            hint = f"; it is a key of {elsewhere[0]}" if elsewhere else _near(str(key), known)
            problems.append(f"{name}.{key}: unknown{hint}")
            continue
        current = renamed.get(key, key)
        if current != key and current in section:
            problems.append(f"{name}.{key}: is the earlier name of {current}, which is set too; keep one")
            continue
        if value is None and "null" not in known[key].types:
            continue
        try:
            values[current] = known[key].read(value)
        except Mismatch as mismatch:
            problems.append(f"{name}.{key}: {mismatch}")
    return values


def _settle_quantization(merged: dict[str, dict[str, Any]], asked: frozenset[str], method: Method) -> None:
    section = merged["QuantizationConfig"]
    if section.get("load_in_8bit") and "QuantizationConfig.load_in_4bit" not in asked:
        section["load_in_4bit"] = False
    four, eight = bool(section.get("load_in_4bit")), bool(section.get("load_in_8bit"))
    for key in ("load_in_4bit", "load_in_8bit"):
        if f"ModelConfig.{key}" in asked and merged["ModelConfig"].get(key):
            raise _refused([f"ModelConfig.{key}: quantization is set in QuantizationConfig.{key}"])
    if four and eight:
        raise _refused(["QuantizationConfig: load_in_4bit and load_in_8bit are both true; keep one"])
    if method == "lora" and (four or eight):
        name = "load_in_4bit" if four else "load_in_8bit"
        raise _refused([f"QuantizationConfig.{name}: must not be true with method lora; use method qlora"])
    if method == "qlora" and not (four or eight):
        raise _refused(["QuantizationConfig: method qlora needs load_in_4bit or load_in_8bit to be true"])


def _settle_training(training: dict[str, Any], dataset: dict[str, Any], asked: frozenset[str]) -> None:
    """Keys of earlier releases get their present meaning; an evaluation set is used when one is held back."""
    if training.pop("group_by_length", False):
        training["train_sampling_strategy"] = "group_by_length"
    for key in ("overwrite_output_dir", "logging_dir", "save_safetensors"):
        if training.pop(key, None) is not None:
            log(f"TrainingArguments.{key} has no effect any more")
    if training.pop("resume_from_checkpoint", None) is not None:
        log("TrainingArguments.resume_from_checkpoint has no effect: the newest complete checkpoint is resumed from")
    if dataset["train_test_split"] < 1 and "TrainingArguments.eval_strategy" not in asked:
        training["eval_strategy"] = "epoch"
    training.setdefault("per_device_eval_batch_size", training["per_device_train_batch_size"])
    if "TrainingArguments.save_strategy" in asked:
        # Who says when to save wants these checkpoints, all of them.
        if training["save_strategy"] != "steps":
            training.pop("save_steps")
        if "TrainingArguments.save_total_limit" not in asked:
            training.pop("save_total_limit")
    if training["save_strategy"] == "no":
        log("TrainingArguments.save_strategy is no: a training that is interrupted begins anew")


def _check_output(output: Any) -> None:
    path = PurePosixPath(str(output))
    resolved = path if path.is_absolute() else PurePosixPath("/mnt") / path
    inside = resolved.parts[:2] == ("/", "mnt") and len(resolved.parts) > 2 and ".." not in resolved.parts
    if not inside:
        raise _refused([f"TrainingArguments.output_dir: {output} is not a directory under /mnt"])


def _near(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _refused(problems: list[str]) -> RuntimeFailure:
    rest = len(problems) - _SHOWN_PROBLEMS
    more = [f"and {rest} more"] if rest > 0 else []
    return invalid("; ".join(problems[:_SHOWN_PROBLEMS] + more), _REMEDY)
