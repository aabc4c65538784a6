from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.runtime.json_text import json_text, parsed_json

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def without_nan(value):
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def refuse(constant: str):
    raise AssertionError(f"{constant} is no JSON")


@given(PLAIN)
def test_any_plain_value_comes_back_with_null_where_there_was_no_number(value):
    assert json.loads(json_text(value), parse_constant=refuse) == without_nan(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_cannot_say_becomes_null_at_any_depth(value):
    text = json_text({"a": [1.5, (value, {"b": value})], "c": value})
    assert json.loads(text, parse_constant=refuse) == {"a": [1.5, [None, {"b": None}]], "c": None}


def test_letters_stay_as_they_are_and_lines_are_indented():
    assert json_text({"unit": "µV"}) == '{\n  "unit": "µV"\n}'


@pytest.mark.parametrize("text", ["", "[" * 50_000, "9" * 5_000, b"\xff", "{"])
def test_whatever_is_no_json_is_one_kind_of_error(text):
    with pytest.raises(ValueError, match=r"."):
        parsed_json(text)
