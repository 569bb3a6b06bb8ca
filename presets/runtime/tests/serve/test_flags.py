from __future__ import annotations

from pathlib import Path

import pytest

from kaito_runtime.outcome import RuntimeFailure
from kaito_runtime.serve.config_file import take_kaito_flags
from kaito_runtime.serve.flags import Flags
from kaito_runtime.serve.main import take_model


def test_hands_on_what_it_was_given() -> None:
    given = [
        "--model=org/model",
        "--compilation-config.pass_config.fuse_allreduce_rms=False",
        "--enable-lora",
        "--lora-modules",
        "a=/mnt/adapter/a",
        "b=/mnt/adapter/b",
        "-tp",
        "2",
        "--seed",
        "-1",
    ]
    flags = Flags(given)
    assert flags.arguments() == [*given[:-4], "-tp", "2", "--seed=-1"]
    assert flags.all("lora-modules") == ["a=/mnt/adapter/a", "b=/mnt/adapter/b"]


def test_underscores_are_dashes_up_to_the_first_dot() -> None:
    flags = Flags(["--max_model_len=5", "--compilation_config.pass_config.x=1"])
    assert flags.names() == ["max-model-len", "compilation-config.pass_config.x"]


def test_the_last_value_counts() -> None:
    assert Flags(["--port=1", "--port", "2"]).number("port") == 2


def test_a_port_that_is_no_number_is_told() -> None:
    with pytest.raises(RuntimeFailure, match="--port=x: not a whole number"):
        Flags(["--port=x"]).number("port")


@pytest.mark.parametrize("arguments", [["--model=m", "--x"], ["--model", "m", "--x"], ["m", "--x"]])
def test_the_model_is_a_flag_or_the_first_word(arguments: list[str]) -> None:
    flags = Flags(arguments)
    assert take_model(flags) == "m"
    assert flags.arguments() == ["--x"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--x"], "--model is missing"),
        (["--model="], "--model is missing"),
        (["m", "n"], "n: neither a flag nor the value of one"),
    ],
)
def test_a_command_line_without_one_model_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(RuntimeFailure, match=message) as told:
        take_model(Flags(arguments))
    assert (told.value.cause, told.value.retryable) == ("InvalidInput", False)


def test_the_configuration_file_wins(tmp_path: Path) -> None:
    file = tmp_path / "inference_config.yaml"
    file.write_text(
        "max_probe_steps: 6\n"
        "vllm:\n"
        "  max_model_len: 4096\n"
        "  enable-prefix-caching: false\n"
        "  trust-remote-code: true\n"
        "  compilation-config.pass_config.fuse_x: true\n"
    )
    flags = Flags(["--max-model-len=auto", "--enable-prefix-caching", f"--kaito-config-file={file}", "--dtype=auto"])
    assert take_kaito_flags(flags) is None
    assert flags.arguments() == [
        "--dtype=auto",
        "--max-model-len=4096",
        "--no-enable-prefix-caching",
        "--trust-remote-code",
        "--compilation-config.pass_config.fuse_x=True",
    ]


def test_kaito_flags_without_effect_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    flags = Flags(["--kaito-max-probe-steps=6", "--kaito_adapters_dir=/a", "--kaito-disable-rate-limit", "--x"])
    assert take_kaito_flags(flags) == Path("/a")
    assert flags.arguments() == ["--x"]
    told = capsys.readouterr().err
    assert "--kaito-max-probe-steps has no effect here" in told
    assert "--kaito-disable-rate-limit has no effect here" in told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vllm: [a]", "vllm: must be a map"),
        ("vllm: {x: [1]}", r"vllm.x: must be text, a number, true or false, not \[1\]"),
        ("{", "can't be read as YAML"),
    ],
)
def test_a_configuration_file_that_cannot_be_taken_is_told(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(RuntimeFailure, match=message):
        take_kaito_flags(Flags([f"--kaito-config-file={file}"]))


def test_an_unknown_kaito_flag_is_refused() -> None:
    with pytest.raises(RuntimeFailure, match="--kaito-speed: not a flag of KAITO's; there are --kaito-adapters-dir"):
        take_kaito_flags(Flags(["--kaito-speed=1"]))
