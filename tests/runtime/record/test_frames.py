"""Messages on a pipe: whole ones arrive as they were sent, torn ones not at all."""

from __future__ import annotations

import struct
import typing
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diverloop.runtime.errors import RecordingError
from diverloop.runtime.messages import Message, Turn
from diverloop.runtime.record.contents import Note
from diverloop.runtime.record.entries import End, TurnEntry
from diverloop.runtime.record.frames import TOPICS, TYPES, pack, read_parts
from diverloop.runtime.record.manifest import Manifest
from diverloop.runtime.record.tape import Pass
from diverloop.runtime.wire import decode, encode

from .samples import MESSAGES, bits

PARTS = st.lists(st.binary(max_size=40), min_size=2, max_size=6)


def test_every_message_of_a_loop_and_all_that_a_recorder_adds_has_a_topic():
    of_loop = set(typing.get_args(Message)) - {Turn} | {TurnEntry}
    assert set(TYPES.values()) == of_loop | {Manifest, Pass, Note, End}
    assert {TYPES[topic]: topic for topic in TYPES} == TOPICS
    assert set(MESSAGES) == set(TOPICS)


@settings(max_examples=25)
@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
@given(data=st.data(), number=st.integers(0, 2**40))
def test_a_message_comes_through_the_pipe_bit_for_bit(kind, data, number):
    message = data.draw(MESSAGES[kind])
    pipe = BytesIO(pack(encode(TOPICS[kind], message, number)))
    parts = read_parts(pipe)
    again = decode(parts, TYPES)
    assert again[0] == number
    assert bits(again[1]) == bits(message)
    assert read_parts(pipe) is None


@given(messages=st.lists(PARTS, max_size=5))
def test_messages_come_one_by_one_and_in_order(messages):
    pipe = BytesIO(b"".join(pack(parts) for parts in messages))
    assert [read_parts(pipe) for _ in messages] == messages
    assert read_parts(pipe) is None


@given(parts=PARTS)
def test_a_message_that_is_cut_anywhere_did_not_come(parts):
    packed = pack(parts)
    for length in range(len(packed)):
        assert read_parts(BytesIO(packed[:length])) is None


@pytest.mark.parametrize("count", [0, 1, 100_001, 2**32 - 1])
def test_what_is_no_message_is_refused(count):
    with pytest.raises(RecordingError, match=f"sent {count} parts where a message has 2 to 100000"):
        read_parts(BytesIO(struct.pack("<I", count) + bytes(8)))


def test_a_part_too_long_to_be_one_is_refused():
    pipe = BytesIO(struct.pack("<3I", 2, 0, 2**31 + 1))
    with pytest.raises(RecordingError, match="a part of 2147483649 bytes, which is no part"):
        read_parts(pipe)
