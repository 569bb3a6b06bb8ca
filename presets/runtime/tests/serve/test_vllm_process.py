from __future__ import annotations

import pytest

from kaito_runtime.serve.vllm_process import VllmProcess, failure_of, refused_parsers

PREFIX = "(EngineCore pid=7) ERROR 11-22 02:00:00 [core.py:1] "


@pytest.mark.parametrize(
    ("lines", "cause", "retryable", "message"),
    [
        (
            [
                PREFIX + "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB.",
                "RuntimeError: Engine core initialization failed. See root cause above.",
            ],
            "OutOfMemory",
            False,
            "vLLM: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB.",
        ),
        (
            [
                "ValueError: To serve at least one request with the models's max seq len (8192), 4 GiB KV cache "
                "is needed, which is larger than the available KV cache memory (1 GiB)."
            ],
            "OutOfMemory",
            False,
            "larger than the available KV cache memory",
        ),
        (
            ["vllm serve: error: unrecognized arguments: --nope"],
            "InvalidInput",
            False,
            "unrecognized arguments: --nope",
        ),
        (
            [
                "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig",
                "  Value error, User-specified max_model_len (9999) is greater than the derived max_model_len",
                "    For further information visit x",
            ],
            "InvalidInput",
            False,
            "User-specified max_model_len",
        ),
        (["ValueError: LoRA rank 64 is greater than max_lora_rank 16."], "InvalidInput", False, "LoRA rank 64"),
        (
            [PREFIX + "KeyError: 'layers.0'", "RuntimeError: Engine core initialization failed. See root cause above."],
            "CrashLoop",
            True,
            "vLLM ended with exit code 1: KeyError: 'layers.0'",
        ),
        (["INFO: all is well"], "CrashLoop", True, "exit code 1: INFO: all is well"),
        ([], "CrashLoop", True, "it said nothing"),
    ],
)
def test_finds_the_cause_in_the_last_lines(lines: list[str], cause: str, retryable: bool, message: str) -> None:
    failure = failure_of(1, lines)
    assert (failure.cause, failure.retryable) == (cause, retryable)
    assert message in failure.message


def test_killed_by_the_kernel_is_out_of_memory() -> None:
    failure = failure_of(-9, [])
    assert (failure.cause, failure.retryable) == ("OutOfMemory", True)


def test_an_orderly_end_that_nobody_asked_for_is_a_failure() -> None:
    assert failure_of(0, []).cause == "CrashLoop"


def test_hands_on_what_vllm_says_and_keeps_the_end(capfd: pytest.CaptureFixture[str]) -> None:
    import os

    process = VllmProcess(["--no-such-flag-of-vllm"], {**os.environ, "VLLM_LOGGING_LEVEL": "ERROR"})
    from kaito_runtime.outcome import RuntimeFailure

    with pytest.raises(RuntimeFailure, match="unrecognized arguments: --no-such-flag-of-vllm") as told:
        process.wait()
    assert told.value.cause == "InvalidInput"
    assert "unrecognized arguments: --no-such-flag-of-vllm" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("line", "flags"),
    [
        (
            "TypeError: --tool-call-parser llama3_json cannot be used with the tokenizer of '/w': no bot token",
            ["tool-call-parser", "enable-auto-tool-choice"],
        ),
        (
            "TypeError: --tool-call-parser a and --reasoning-parser b cannot be used with the tokenizer of '/w': x",
            ["tool-call-parser", "reasoning-parser", "enable-auto-tool-choice"],
        ),
        ("TypeError: --reasoning-parser b cannot be used with the tokenizer of '/w': x", ["reasoning-parser"]),
        ("TypeError: something else", []),
    ],
)
def test_parsers_that_the_tokenizer_does_not_suit_are_named(line: str, flags: list[str]) -> None:
    assert refused_parsers(failure_of(1, [line])) == flags
