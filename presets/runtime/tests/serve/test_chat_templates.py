"""The chat templates, rendered as vLLM renders them: by transformers' own environment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

TEMPLATES = Path(__file__).parents[2] / "chat_templates"
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "City"}},
            "required": ["city"],
        },
    },
}
CALL = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": {"city": "Paris"}}}
PLAIN: list[dict[str, Any]] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
LOOP: list[dict[str, Any]] = [
    {"role": "user", "content": "Plan"},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "1", "content": "sunny"},
]


def render(name: str, messages: list[dict[str, Any]], **more: Any) -> str:
    from transformers.utils.chat_template_utils import render_jinja_template

    tools = more.pop("tools", None)
    rendered, _ = render_jinja_template(
        [messages],
        tools=tools,
        chat_template=(TEMPLATES / name).read_text(encoding="utf-8"),
        add_generation_prompt=True,
        bos_token="<bos>",  # noqa: S106
        **more,
    )
    return str(rendered[0])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "tool-chat-hermes.jinja",
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
        ),
        (
            "tool-chat-llama3.1-json.jinja",
            "<bos><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        ),
        ("tool-chat-deepseekv3.jinja", "<bos>Be brief.<｜User｜>Hi<｜Assistant｜>"),  # noqa: RUF001
        ("tool-chat-deepseekr1.jinja", "<bos>Be brief.<｜User｜>Hi<｜Assistant｜><think>\n"),  # noqa: RUF001
        ("tool-chat-phi4-mini.jinja", "<|system|>Be brief.<|end|><|user|>Hi<|end|><|assistant|>"),
        (
            "tool-chat-gemma4.jinja",
            "<bos><|turn>system\nBe brief.<turn|>\n<|turn>user\nHi<turn|>\n<|turn>model\n",
        ),
    ],
)
def test_a_plain_conversation(name: str, expected: str) -> None:
    assert render(name, PLAIN) == expected


@pytest.mark.parametrize(
    ("name", "end"),
    [
        (
            "tool-chat-hermes.jinja",
            '<|im_start|>user\nPlan<|im_end|>\n<|im_start|>assistant\n<tool_call>\n{"name": "weather", "arguments": '
            '{"city": "Paris"}}\n</tool_call><|im_end|>\n<|im_start|>user\n<tool_response>\nsunny\n</tool_response>'
            "<|im_end|>\n<|im_start|>assistant\n",
        ),
        (
            "tool-chat-llama3.1-json.jinja",
            'Plan<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n{"name": "weather", "parameters": '
            '{"city": "Paris"}}<|eot_id|><|start_header_id|>ipython<|end_header_id|>\n\nsunny<|eot_id|>'
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
        ),
        (
            "tool-chat-deepseekv3.jinja",
            "<｜User｜>Plan<｜Assistant｜><｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n"  # noqa: RUF001
            '```json\n{"city": "Paris"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜><｜end▁of▁sentence｜>'  # noqa: RUF001
            "<｜tool▁outputs▁begin｜><｜tool▁output▁begin｜>sunny<｜tool▁output▁end｜><｜tool▁outputs▁end｜>",  # noqa: RUF001
        ),
        (
            "tool-chat-phi4-mini.jinja",
            '<|user|>Plan<|end|><|assistant|>functools[{"name": "weather", "arguments": {"city": "Paris"}}]<|end|>'
            "<|tool_response|>sunny<|end|><|assistant|>",
        ),
        (
            "tool-chat-gemma4.jinja",
            "<|turn>user\nPlan<turn|>\n<|turn>model\n"
            '<|tool_call>call:weather{city:<|"|>Paris<|"|>}<tool_call|>'
            '<|tool_response>response:weather{value:<|"|>sunny<|"|>}<tool_response|>',
        ),
    ],
)
def test_a_call_and_its_result(name: str, end: str) -> None:
    assert render(name, LOOP, tools=[WEATHER]).endswith(end)


@pytest.mark.parametrize("template", sorted(TEMPLATES.glob("*.jinja")), ids=lambda path: path.name)
def test_tools_are_declared(template: Path) -> None:
    assert "weather" not in render(template.name, PLAIN)
    declared = render(template.name, PLAIN, tools=[WEATHER])
    if template.name == "tool-chat-gemma4.jinja":
        assert (
            '<|turn>system\nBe brief.<|tool>declaration:weather{description:<|"|>Weather<|"|>,parameters:{properties:{'
            'city:{description:<|"|>City<|"|>,type:<|"|>STRING<|"|>}},required:[<|"|>city<|"|>],type:<|"|>OBJECT<|"|>}}'
            "<tool|><turn|>\n"
        ) in declared
    else:
        assert '"city": {"type": "string", "description": "City"}' in " ".join(declared.split()).replace(
            "{ ", "{"
        ).replace(" }", "}")
        assert json.dumps(WEATHER["function"]["name"]) in declared  # type: ignore[index]


def test_gemma_thinks_only_when_asked_and_forgets_what_it_thought() -> None:
    earlier = [*PLAIN, {"role": "assistant", "content": "<|channel>thought\nhm<channel|>Hello"}, PLAIN[1]]
    rendered = render("tool-chat-gemma4.jinja", earlier, enable_thinking=True)
    assert rendered.startswith("<bos><|turn>system\n<|think|>\nBe brief.<turn|>\n")
    assert "<|turn>model\nHello<turn|>\n" in rendered
    assert "<|think|>" not in render("tool-chat-gemma4.jinja", earlier)


def test_r1_forgets_what_it_thought() -> None:
    earlier = [*PLAIN, {"role": "assistant", "content": "<think>hm</think>Hello"}, PLAIN[1]]
    assert "hm" not in render("tool-chat-deepseekr1.jinja", earlier)
