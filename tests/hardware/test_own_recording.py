"""The tape of a session is asked what its signal is, and only if it is of that signal."""

from __future__ import annotations

import pytest

from diverloop.hardware.own_recording import taped_spec
from diverloop.runtime.messages import Channel, StreamSpec
from diverloop.runtime.received import Sent
from diverloop.runtime.record.entries import write_entry
from diverloop.runtime.record.layout import TAPE_NAME

SPEC = StreamSpec(
    name="amp", rate_hz=250.0, channels=(Channel(name="C3"),),
    sent=Sent(dtype="<i2", microvolts=(0.5, 0.5), rows=(1,)),
)  # fmt: skip


def stream(name: str, *lines: str) -> dict:
    return {"info": {"name": [name]}, "time_series": [[line] for line in lines]}


def test_the_spec_is_found_behind_damaged_lines():
    tape = stream(TAPE_NAME, "rubbish", write_entry(SPEC))
    assert taped_spec([stream("amp"), tape], "amp", 2) == SPEC


@pytest.mark.parametrize(("name", "n_sent"), [("other", 2), ("amp", 3)])
def test_a_tape_of_another_stream_says_nothing(name, n_sent):
    assert taped_spec([stream(TAPE_NAME, write_entry(SPEC))], name, n_sent) is None


def test_without_a_tape_there_is_nothing_to_say():
    assert taped_spec([stream("amp", write_entry(SPEC))], "amp", 2) is None
    assert taped_spec([stream(TAPE_NAME)], "amp", 2) is None
