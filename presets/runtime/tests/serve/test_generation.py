from __future__ import annotations

from typing import Any

import pytest

from kaito_runtime.serve.generation import BadParameter, sampling, wants_count


@pytest.mark.parametrize(
    ("options", "count", "expected"),
    [
        ({}, (10, 100), {"max_tokens": 90}),
        ({}, (10, 1000), {"max_tokens": 200}),
        ({"max_length": 50}, (10, 1000), {"max_tokens": 40}),
        ({"max_length": 5000}, (10, 1000), {"max_tokens": 990}),
        ({"max_length": 50, "min_length": 20}, (10, 1000), {"max_tokens": 40, "min_tokens": 10}),
        ({"min_length": 5}, (10, 1000), {"max_tokens": 200}),
        ({"max_new_tokens": 5, "max_length": 9}, (8, 1000), {"max_tokens": 5}),
        ({"max_new_tokens": 5, "min_new_tokens": 2}, None, {"max_tokens": 5, "min_tokens": 2}),
        ({"max_tokens": 5, "do_sample": False, "temperature": 0.7}, None, {"max_tokens": 5, "temperature": 0}),
        (
            {"max_tokens": 5, "do_sample": True, "top_k": 10, "top_p": None, "num_beams": 1, "pad_token_id": 0},
            None,
            {"max_tokens": 5, "top_k": 10},
        ),
        ({"max_tokens": 5, "eos_token_id": 2}, None, {"max_tokens": 5, "stop_token_ids": [2]}),
        ({"max_tokens": 5, "stop_strings": ["x"]}, None, {"max_tokens": 5, "stop": ["x"]}),
    ],
)
def test_tells_parameters_in_those_of_vllm(
    options: dict[str, Any], count: tuple[int, int] | None, expected: dict[str, Any]
) -> None:
    assert sampling(options, count) == expected
    assert wants_count(options) == (count is not None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_lenght": 5}, "unknown parameter 'max_lenght'; there are"),
        ({"num_beams": 2}, "num_beams 2 is not served"),
        ({"typical_p": 0.5}, "typical_p 0.5 is not served"),
        ({"max_length": 10}, "max_length 10 counts the prompt in, and that has 10 tokens"),
        ({"max_length": "10"}, "max_length must be a whole number, not '10'"),
    ],
)
def test_names_what_cannot_be_served(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadParameter, match=message):
        sampling(options, (10, 100))
