from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy
import pytest
from safetensors.numpy import save_file

from kaito_runtime.outcome import RuntimeFailure
from kaito_runtime.serve.adapters import apply_adapters, read_strengths
from kaito_runtime.serve.flags import Flags


def adapter(directory: Path, hidden: int = 256, **config: Any) -> Path:
    directory.mkdir(parents=True)
    written = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "base_model_name_or_path": "org/base", **config}
    (directory / "adapter_config.json").write_text(json.dumps(written))
    key = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
    save_file({key: numpy.zeros((written["r"], hidden), dtype=numpy.float32)}, directory / "adapter_model.safetensors")
    return directory


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"text_config": {"hidden_size": 256}}))
    return folder


def applied(tmp_path: Path, base: Path | None, *arguments: str, **strengths: float) -> Flags:
    flags = Flags(arguments)
    apply_adapters(flags, tmp_path / "adapters", strengths, base, tmp_path / "copies")
    return flags


def test_without_adapters_nothing_is_added(tmp_path: Path, base: Path) -> None:
    assert applied(tmp_path, base, "--x=1").arguments() == ["--x=1"]


def test_registers_those_found_beside_those_named(tmp_path: Path, base: Path) -> None:
    one = adapter(tmp_path / "adapters" / "one")
    two = adapter(tmp_path / "adapters" / "two")
    (tmp_path / "adapters" / "lost+found").mkdir()
    flags = applied(tmp_path, base, "--lora-modules", f"renamed={one}")
    assert flags.all("lora-modules") == [f"renamed={one}", f"two={two}"]
    assert "enable-lora" in flags
    assert flags.number("max-loras") == 2
    assert "max-lora-rank" not in flags


@pytest.mark.parametrize(
    ("config", "rank"),
    [({"r": 16}, None), ({"r": 17}, 32), ({"r": 8, "rank_pattern": {"q_proj": 200}}, 256), ({"r": 512}, 512)],
)
def test_asks_vllm_for_the_rank_that_is_needed(
    tmp_path: Path, base: Path, config: dict[str, Any], rank: int | None
) -> None:
    adapter(tmp_path / "adapters" / "one", **config)
    assert applied(tmp_path, base).number("max-lora-rank") == rank


def test_what_the_user_set_stays(tmp_path: Path, base: Path) -> None:
    adapter(tmp_path / "adapters" / "one", r=32)
    adapter(tmp_path / "adapters" / "two")
    flags = applied(tmp_path, base, "--max-lora-rank=64", "--max-loras=1")
    assert (flags.number("max-lora-rank"), flags.number("max-loras")) == (64, 1)


def test_strength_scales_a_copy_and_leaves_the_adapter_alone(tmp_path: Path, base: Path) -> None:
    original = adapter(tmp_path / "adapters" / "one", lora_alpha=16, alpha_pattern={"q_proj": 3}, use_rslora=True)
    before = (original / "adapter_config.json").read_text()
    # A second start meets the copy of the first.
    applied(tmp_path, base, one=0.25)
    flags = applied(tmp_path, base, one=0.5)
    copy = tmp_path / "copies" / "one"
    assert flags.all("lora-modules") == [f"one={copy}"]
    config = json.loads((copy / "adapter_config.json").read_text())
    assert config == {**json.loads(before), "lora_alpha": 8, "alpha_pattern": {"q_proj": 1.5}}
    assert (copy / "adapter_model.safetensors").resolve() == original / "adapter_model.safetensors"
    assert (original / "adapter_config.json").read_text() == before


def test_a_strength_for_nobody_is_refused(tmp_path: Path, base: Path) -> None:
    adapter(tmp_path / "adapters" / "one")
    with pytest.raises(RuntimeFailure, match="KAITO_ADAPTER_STRENGTHS names two, the adapters are one"):
        applied(tmp_path, base, two=0.5)


@pytest.mark.parametrize("text", ["x", "[]", '{"a": "1"}', '{"a": true}', '{"a": NaN}'])
def test_strengths_that_are_no_numbers_are_refused(text: str) -> None:
    with pytest.raises(RuntimeFailure, match="KAITO_ADAPTER_STRENGTHS"):
        read_strengths(text)


def test_strengths_may_be_absent() -> None:
    assert read_strengths(None) == {}
    assert read_strengths('{"a": 1}') == {"a": 1.0}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"r": "8"}, "r: '8' is not a positive number"),
        ({"lora_alpha": None}, "lora_alpha: None is not a positive number"),
        ({"peft_type": "IA3"}, "peft_type IA3: only LORA can be served"),
        ({"use_dora": True}, "vLLM does not serve DoRA"),
    ],
)
def test_a_configuration_that_cannot_be_served_names_the_adapter(
    tmp_path: Path, base: Path, config: dict[str, Any], message: str
) -> None:
    directory = adapter(tmp_path / "adapters" / "one")
    written = json.loads((directory / "adapter_config.json").read_text())
    (directory / "adapter_config.json").write_text(json.dumps({**written, **config}))
    with pytest.raises(RuntimeFailure, match=f"adapter one: .*{message}") as told:
        applied(tmp_path, base)
    assert (told.value.cause, told.value.retryable) == ("InvalidInput", False)


def test_missing_files_are_told_with_what_is_there(tmp_path: Path, base: Path) -> None:
    directory = tmp_path / "adapters" / "one"
    (directory / "data").mkdir(parents=True)
    with pytest.raises(RuntimeFailure, match=r"adapter one: .*: adapter_config.json is missing \(there: data\)"):
        applied(tmp_path, base)
    (directory / "adapter_config.json").write_text(json.dumps({"r": 8, "lora_alpha": 16}))
    with pytest.raises(
        RuntimeFailure, match=r"adapter_model.safetensors is missing \(there: adapter_config.json, data\)"
    ):
        applied(tmp_path, base)
    (directory / "adapter_model.safetensors").write_bytes(b"torn")
    with pytest.raises(RuntimeFailure, match=r"adapter one: .*adapter_model.safetensors can't be read"):
        applied(tmp_path, base)


def test_an_adapter_of_another_model_is_told(tmp_path: Path, base: Path) -> None:
    adapter(tmp_path / "adapters" / "one", hidden=3072)
    with pytest.raises(
        RuntimeFailure, match=r"trained for another model \(org/base\): its hidden size is 3072, .* 256"
    ):
        applied(tmp_path, base)
    assert applied(tmp_path, None).all("lora-modules"), "without the model's configuration vLLM is to judge"


@pytest.mark.parametrize("value", ["one", "=x", "{", '{"name": "one"}'])
def test_a_module_that_cannot_be_read_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(RuntimeFailure, match="--lora-modules"):
        applied(tmp_path, None, "--lora-modules", value)


def test_a_rank_beyond_vllm_is_refused(tmp_path: Path, base: Path) -> None:
    adapter(tmp_path / "adapters" / "one", r=1024)
    with pytest.raises(RuntimeFailure, match="adapter one: rank 1024: vLLM serves at most 512"):
        applied(tmp_path, base)
