"""generate_kwargs of /chat: parameters of transformers' generate(), told in those of vLLM's API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEFAULT_NEW_TOKENS = 200
"""When the request says nothing of lengths. KAITO counts the prompt in, so that a long one gets no answer at all."""

_SAME = frozenset(
    (
        *("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "frequency_penalty", "presence_penalty"),
        *("seed", "stop", "stop_token_ids", "include_stop_str_in_output", "ignore_eos", "bad_words", "logit_bias"),
        *("max_tokens", "min_tokens", "skip_special_tokens", "spaces_between_special_tokens", "truncate_prompt_tokens"),
    )
)
_RENAMED = {"max_new_tokens": "max_tokens", "min_new_tokens": "min_tokens", "stop_strings": "stop"}
# Served only with the value that changes nothing.
_NEUTRAL: dict[str, Any] = {"num_beams": 1, "num_return_sequences": 1, "typical_p": 1}
# About batches, beams and caches of transformers; they change no answer here.
_WITHOUT_EFFECT = frozenset(("pad_token_id", "use_cache", "early_stopping", "length_penalty", "return_full_text"))
_OWN = frozenset(("do_sample", "max_length", "min_length", "eos_token_id"))
_KNOWN = ", ".join(sorted({*_OWN, *_SAME, *_RENAMED, *_NEUTRAL, *_WITHOUT_EFFECT}))
_LENGTHS = frozenset(("max_new_tokens", "max_tokens"))


class BadParameter(Exception):  # noqa: N818 - an answer
    """A parameter that can't be served, by name."""


def wants_count(options: Mapping[str, Any]) -> bool:
    """Whether the length of the prompt matters for them."""
    return not _LENGTHS & options.keys() or bool({"max_length", "min_length"} & options.keys())


def sampling(options: Mapping[str, Any], count: tuple[int, int] | None) -> dict[str, Any]:
    """vLLM's parameters. `count`: tokens of the prompt and of the longest context, where `wants_count`."""
    given = {name: value for name, value in options.items() if value is not None}
    parameters: dict[str, Any] = {}
    for name, value in given.items():
        if name in _SAME:
            parameters[name] = value
        elif name in _RENAMED:
            parameters[_RENAMED[name]] = value
        elif name == "eos_token_id":
            parameters["stop_token_ids"] = value if isinstance(value, list) else [value]
        elif name in _NEUTRAL:
            _only(name, value, _NEUTRAL[name])
        elif name not in _WITHOUT_EFFECT | _OWN:
            raise BadParameter(f"generate_kwargs: unknown parameter {name!r}; there are {_KNOWN}")
    if given.get("do_sample") is False:
        parameters["temperature"] = 0
    if count is not None:
        _lengths(given, parameters, *count)
    return parameters


def _lengths(given: Mapping[str, Any], parameters: dict[str, Any], prompt: int, context: int) -> None:
    """Lengths that count the prompt in."""
    if "max_tokens" not in parameters:
        if "max_length" in given:
            most = _whole("max_length", given["max_length"]) - prompt
            if most < 1:
                raise BadParameter(
                    f"generate_kwargs: max_length {given['max_length']} counts the prompt in, and that has {prompt} "
                    "tokens; give a larger one, or max_new_tokens"
                )
        else:
            most = DEFAULT_NEW_TOKENS
        # vLLM refuses to promise more than the context holds; a prompt that fills it is for vLLM to refuse.
        parameters["max_tokens"] = max(1, min(most, context - prompt))
    if "min_length" in given and "min_tokens" not in parameters:
        least = max(0, _whole("min_length", given["min_length"]) - prompt)
        if least:
            parameters["min_tokens"] = least


def _whole(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadParameter(f"generate_kwargs: {name} must be a whole number, not {value!r}")
    return value


def _only(name: str, value: object, neutral: object) -> None:
    if value != neutral:
        raise BadParameter(f"generate_kwargs: {name} {value!r} is not served; leave it out, or give {neutral!r}")
