"""Events of a FieldTrip buffer: words and numbers there and back."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.hardware.fieldtrip_events import (
    AUTO_SAMPLE,
    BufferEvent,
    pack_events,
    unpack_events,
)
from diverloop.runtime.errors import LinkLost


def test_two_button_events_are_the_description_s_own_example():
    events = [
        BufferEvent(sample=10, type="Button", value="Left"),
        BufferEvent(sample=12, type="Button", value="Right"),
    ]
    data = pack_events(events)
    assert len(data) == 85
    assert struct.unpack_from("<IIIIiiiI", data) == (0, 6, 0, 4, 10, 0, 0, 10)
    assert data[32:42] == b"ButtonLeft"
    assert unpack_events(data) == events


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("left\0", "left"),
        ("", ""),
        (np.array([7.0]), "7"),
        (np.array([1.5]), "1.5"),
        (np.array([12345678901], "<i8"), "12345678901"),
        (np.array([1, 2], "<u1"), "1,2"),
    ],
    ids=["text with its zero", "none", "whole float", "float", "large", "several"],
)
def test_a_value_is_said_in_words(value, words):
    (event,) = unpack_events(pack_events([BufferEvent(sample=1, type="cue", value=value)]))
    assert (event.type_text, event.value_text) == ("cue", words)


def test_a_sample_may_be_left_to_the_server_and_may_be_beyond_31_bits():
    events = [BufferEvent(sample=AUTO_SAMPLE, type="a"), BufferEvent(sample=2**31 + 5, type="b")]
    samples = [event.sample for event in unpack_events(pack_events(events))]
    assert samples == [AUTO_SAMPLE, 2**31 + 5]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"123", "cut short"),
        (struct.pack("<IIIIIiiI", 0, 1, 0, 1, 0, 0, 0, 9), "cut short"),
        (struct.pack("<IIIIIiiI", 0, 9, 0, 9, 0, 0, 0, 2) + b"ab", "an event of 18 bytes in 2"),
        (struct.pack("<IIIIIiiI", 99, 0, 0, 0, 0, 0, 0, 0), "unknown type 99"),
    ],
)
def test_what_breaks_the_protocol_is_said_in_a_sentence(data, said):
    with pytest.raises(LinkLost, match=said):
        unpack_events(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_and_nothing_else(data):
    try:
        events = unpack_events(data)
    except LinkLost:
        return
    assert all(isinstance(event.value_text, str) for event in events)
