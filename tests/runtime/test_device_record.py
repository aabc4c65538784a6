"""A record of what was tested says something in every field that counts, on one line."""

from __future__ import annotations

import pytest

from diverloop.runtime.device_record import DeviceRecord

GOOD = {"what": "a", "against": "b", "never": "", "connect": "c"}


def test_a_record_needs_no_extra_and_may_have_nothing_left_to_test():
    assert DeviceRecord(**GOOD).extra == ""


@pytest.mark.parametrize("name", ["what", "against", "connect"])
def test_an_empty_field_is_refused(name):
    with pytest.raises(ValueError, match=f"tested.{name} is empty"):
        DeviceRecord(**GOOD | {name: ""})


@pytest.mark.parametrize("text", ["a\nb", "a | b"])
def test_what_would_break_the_table_is_refused(text):
    with pytest.raises(ValueError, match="one line a field"):
        DeviceRecord(**GOOD | {"against": text})
