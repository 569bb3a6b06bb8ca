"""Recognises what a dataset's columns mean, and turns its rows into what the trainer takes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kaito_runtime.tune.failures import invalid
from kaito_runtime.tune.sections import DatasetConfig

Kind = Literal["chat", "prompt-completion", "text"]
Row = Mapping[str, Any]

_REMEDY = (
    "Give a column messages (chat), conversations (ShareGPT), prompt and completion, instruction and output (Alpaca), "
    "question and answer, or text; or name the columns in DatasetConfig."
)
_ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "assistant": "assistant",
    "system": "system",
    "developer": "developer",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "function_call": "assistant",
}
_CHAT_EXTRAS = ("tools", "chat_template_kwargs")


class BadRow(Exception):  # noqa: N818 - told with the row's number
    """A row that cannot be trained on; the text says why."""


@dataclass(frozen=True)
class Columns:
    """What the columns mean."""

    kind: Kind
    shape: Literal["messages", "conversations", "pair", "instruction", "question", "text"]
    prompt: str = ""
    answer: str = ""
    context: str | None = None
    """Alpaca's input: more text for the prompt, often empty."""


def recognise(names: Sequence[str], config: DatasetConfig) -> Columns:
    """By what the configuration names, else by the usual names of columns."""
    named = _named(names, config)
    if named is not None:
        return named
    have = set(names)
    if "messages" in have:
        return Columns("chat", "messages", prompt="messages")
    if "conversations" in have:
        return Columns("chat", "conversations", prompt="conversations")
    if {"prompt", "completion"} <= have:
        return Columns("prompt-completion", "pair", "prompt", "completion")
    if {"instruction", "output"} <= have:
        return Columns(
            "prompt-completion", "instruction", "instruction", "output", "input" if "input" in have else None
        )
    if {"question", "answer"} <= have:
        return Columns("prompt-completion", "question", "question", "answer")
    if "text" in have:
        return Columns("text", "text", answer="text")
    raise invalid(f"the dataset's columns are {', '.join(names)}: none of them can be trained on", _REMEDY)


def _named(names: Sequence[str], config: DatasetConfig) -> Columns | None:
    for key, column in (("messages_column", config.messages_column), ("context_column", config.context_column)):
        if column is not None and column not in names:
            raise _missing(key, column, names)
    if config.messages_column is not None:
        if config.context_column is not None:
            raise invalid(
                "DatasetConfig: both messages_column and context_column are set; keep one",
                "A chat dataset has messages_column, a dataset of pairs has context_column and response_column.",
            )
        shape: Literal["conversations", "messages"] = (
            "conversations" if config.messages_column == "conversations" else "messages"
        )
        return Columns("chat", shape, prompt=config.messages_column)
    if config.context_column is not None:
        if config.response_column not in names:
            raise _missing("response_column", config.response_column, names)
        return Columns("prompt-completion", "question", config.context_column, config.response_column)
    # "text" is what the key has where nobody sets it.
    if config.response_column == "text":
        return None
    if config.response_column not in names:
        raise _missing("response_column", config.response_column, names)
    return Columns("text", "text", answer=config.response_column)


def _missing(key: str, column: str, names: Sequence[str]) -> Exception:
    return invalid(f"DatasetConfig.{key}: the dataset has no column {column}; it has {', '.join(names)}", _REMEDY)


def converter(columns: Columns, *, chat_template: bool) -> Callable[[Row], dict[str, Any]]:
    """The function that makes a row for the trainer. It raises BadRow.

    Questions and instructions become a chat where the model has a template, as that is how the model is asked later.
    """
    match columns.shape:
        case "messages" | "conversations":
            return lambda row: _chat_row(row, columns.prompt)
        case "pair":
            return lambda row: _pair_row(row, columns)
        case "instruction" | "question":
            return lambda row: _question_row(row, columns, chat_template=chat_template)
        case "text":
            return lambda row: {"text": _text(row, columns.answer)}


def is_empty(row: Row, columns: Columns) -> bool:
    """A row that has nothing to learn from."""
    return any(row.get(name) in (None, "", []) for name in (columns.answer or columns.prompt,))


def _chat_row(row: Row, column: str) -> dict[str, Any]:
    messages = [_message(message, column) for message in _list(row[column], column)]
    if not any(message["role"] == "assistant" for message in messages):
        raise BadRow(f"column {column}: no message has the role assistant")
    extras = {name: row[name] for name in _CHAT_EXTRAS if row.get(name)}
    return {"messages": messages, **extras}


def _list(value: Any, column: str) -> list[Any]:
    """CSV files hold the messages as JSON text."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            raise BadRow(f"column {column}: is text that is not JSON ({error})") from error
    if not isinstance(value, list):
        raise BadRow(f"column {column}: is not a list of messages")
    return value


def _message(message: Any, column: str) -> dict[str, Any]:
    if not isinstance(message, dict):
        raise BadRow(f"column {column}: a message is not a map with role and content")
    role = message.get("role") or message.get("from")
    content = message.get("content") if message.get("content") is not None else message.get("value")
    known = _ROLES.get(str(role).lower())
    if known is None:
        raise BadRow(f"column {column}: the role {role!r} is none of {', '.join(sorted(set(_ROLES.values())))}")
    if content is None and not message.get("tool_calls"):
        raise BadRow(f"column {column}: a message of {role} has no content")
    rest = {
        key: value
        for key, value in message.items()
        if key in ("tool_calls", "name", "tool_call_id") and value is not None
    }
    return {"role": known, "content": content if content is not None else "", **rest}


def _pair_row(row: Row, columns: Columns) -> dict[str, Any]:
    prompt, completion = row[columns.prompt], row[columns.answer]
    if isinstance(prompt, list) and isinstance(completion, list):
        return {
            "prompt": [_message(message, columns.prompt) for message in prompt],
            "completion": [_message(message, columns.answer) for message in completion],
        }
    return {"prompt": _text(row, columns.prompt), "completion": _text(row, columns.answer)}


def _question_row(row: Row, columns: Columns, *, chat_template: bool) -> dict[str, Any]:
    asked = _text(row, columns.prompt)
    if columns.context and row.get(columns.context):
        asked = f"{asked}\n\n{_text(row, columns.context)}"
    answer = _text(row, columns.answer)
    if chat_template:
        return {
            "prompt": [{"role": "user", "content": asked}],
            "completion": [{"role": "assistant", "content": answer}],
        }
    return {"prompt": f"{asked}\n\n", "completion": answer}


def _text(row: Row, column: str) -> str:
    value = row.get(column)
    if isinstance(value, (dict, list)):
        raise BadRow(f"column {column}: is a {type(value).__name__}, not text")
    return "" if value is None else str(value)
