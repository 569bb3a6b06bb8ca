from __future__ import annotations

import json
from pathlib import Path

import pytest

from kaito_runtime.outcome import ArgumentParser, RuntimeFailure, conclude, redact


def test_tells_the_result_of_a_success(termination_log: Path) -> None:
    assert conclude(lambda: {"rows": 3}) == 0
    assert json.loads(termination_log.read_text()) == {"rows": 3}


def test_a_success_without_result_writes_nothing(termination_log: Path) -> None:
    assert conclude(lambda: None) == 0
    assert not termination_log.exists()


@pytest.mark.parametrize(("retryable", "code"), [(True, 1), (False, 42)])
def test_tells_a_failure_with_its_exit_code(termination_log: Path, retryable: bool, code: int) -> None:
    def program() -> None:
        raise RuntimeFailure("HubDenied", "model x: no", remedy="Get a token.", retryable=retryable)

    assert conclude(program) == code
    assert json.loads(termination_log.read_text()) == {
        "cause": "HubDenied",
        "message": "model x: no",
        "remedy": "Get a token.",
    }


def test_what_nobody_foresaw_is_internal_and_tried_again(
    termination_log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def program() -> None:
        raise KeyError("weights")

    assert conclude(program) == 1
    assert json.loads(termination_log.read_text()) == {"cause": "Internal", "message": "KeyError: 'weights'"}
    assert "test_outcome.py" in capsys.readouterr().err, "the traceback is for the log"


@pytest.mark.parametrize("character", ["x", "é", "😀", '"', "\n"])
def test_a_long_failure_fits_and_keeps_both_ends(termination_log: Path, character: str) -> None:
    def program() -> None:
        raise RuntimeFailure("Internal", f"first{character * 9000}last", remedy="r" * 5000)

    assert conclude(program) == 42
    written = termination_log.read_bytes()
    assert 3000 < len(written) <= 4096
    message = json.loads(written)["message"]
    assert message.startswith("first")
    assert message.endswith("last")


def test_a_result_that_would_be_cut_is_a_defect(termination_log: Path) -> None:
    with pytest.raises(ValueError, match="5012 bytes"):
        conclude(lambda: {"rows": "x" * 5000})
    assert not termination_log.exists()


def test_a_wrong_command_line_is_invalid_input(termination_log: Path) -> None:
    parser = ArgumentParser(prog="push")
    parser.add_argument("--image", required=True)

    def program() -> None:
        parser.parse_args([])

    assert conclude(program) == 42
    written = json.loads(termination_log.read_text())
    assert written["cause"] == "InvalidInput"
    assert written["message"] == "push: the following arguments are required: --image"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("token hf_abcdefghij1234 refused", "token hf_*** refused"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("{'authorization': 'Basic dXNlcg=='}", "{'authorization': 'Basic ***'}"),
        ("https://me:secret@registry.example.com/v2/", "https://***@registry.example.com/v2/"),
        (
            "GET https://x.blob.core.windows.net/a.json?sig=abc&se=1 failed",
            "GET https://x.blob.core.windows.net/a.json?*** failed",
        ),
        ("what? nothing", "what? nothing"),
    ],
)
def test_credentials_are_never_told(text: str, expected: str) -> None:
    assert redact(text) == expected


def test_the_token_of_this_process_is_never_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "my-own-token")
    assert redact("refused: my-own-token") == "refused: ***"
