"""The command lines of all presets, as the manifests render them, read by vLLM's own argument parser."""

from __future__ import annotations

import json
import subprocess
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from kaito_runtime.serve.flags import Flags
from kaito_runtime.serve.main import take_model

ROOT = Path(__file__).parents[4]
TEMPLATES = Path(__file__).parents[2] / "chat_templates"
# What the kubelet puts in.
EXPANDED = {"--node-rank=$(POD_INDEX)": "--node-rank=1"}


def printed() -> dict[str, list[dict[str, Any]]]:
    command = ["node", "local/bootstrap.cjs", "presets/print-command-lines.ts"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    lines: dict[str, list[dict[str, Any]]] = json.loads(run.stdout)
    return lines


PRESETS = printed()


@pytest.fixture(scope="module")
def parser() -> Any:
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    return make_arg_parser(FlexibleArgumentParser())


def parsed(parser: Any, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> Namespace:
    """As `serve` starts vLLM. Chat templates lie elsewhere in the image."""
    flags = Flags([EXPANDED.get(argument, argument) for argument in arguments])
    template = flags.last("chat-template")
    if template is not None:
        assert template.startswith("/workspace/chat_templates/")
        flags.set("chat-template", str(TEMPLATES / Path(template).name))
    try:
        result: Namespace = parser.parse_args([take_model(flags), *flags.arguments()])
    except SystemExit:
        pytest.fail(f"vLLM refuses {arguments}: {capsys.readouterr().err[-500:]}")
    return result


def test_there_are_the_presets_of_the_catalogue() -> None:
    assert len(PRESETS) >= 60
    assert [preset for preset, lines in PRESETS.items() if not lines] == []
    several_nodes = [preset for preset, lines in PRESETS.items() if any(has(line, "--nnodes=") for line in lines)]
    one_node = [preset for preset, lines in PRESETS.items() if any(not has(line, "--nnodes=") for line in lines)]
    assert several_nodes
    assert one_node


def has(line: dict[str, Any], prefix: str) -> bool:
    return any(str(argument).startswith(prefix) for argument in line["args"])


@pytest.mark.parametrize("preset", PRESETS)
def test_vllm_takes_the_command_line_of(preset: str, parser: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.entrypoints.launchers.cli_args import validate_parsed_serve_args
    from vllm.reasoning import ReasoningParserManager
    from vllm.tokenizers.registry import _VLLM_TOKENIZERS
    from vllm.tool_parsers import ToolParserManager

    for line in PRESETS[preset]:
        arguments = parsed(parser, line["args"], capsys)
        validate_parsed_serve_args(arguments)
        # As `vllm serve` does before it makes the engine's arguments.
        arguments.model = arguments.model_tag
        engine = AsyncEngineArgs.from_cli_args(arguments)
        assert engine.model == preset
        assert arguments.port == 5000
        assert arguments.tool_call_parser in {None, *ToolParserManager.list_registered()}
        assert engine.reasoning_parser in {"", *ReasoningParserManager.list_registered()}
        assert engine.tokenizer_mode in {"auto", *_VLLM_TOKENIZERS}
        assert engine.tensor_parallel_size >= 1
        if arguments.enable_auto_tool_choice:
            assert arguments.tool_call_parser is not None


def test_a_flag_that_vllm_does_not_know_is_noticed(parser: Any, capsys: pytest.CaptureFixture[str]) -> None:
    line = next(iter(PRESETS.values()))[0]["args"]
    with pytest.raises(pytest.fail.Exception, match="unrecognized arguments: --no-such-flag=1"):
        parsed(parser, [*line, "--no-such-flag=1"], capsys)
