from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.runtime.access import Action
from diverloop.runtime.control_wire import (
    LONGEST_TEXT,
    Reply,
    Request,
    read_reply,
    read_request,
    write,
)
from diverloop.runtime.errors import DiverloopError


def test_requests_and_replies_come_back():
    asked = Request(b"n" * 16, 3, Action.NOTE, "123456", "a word")
    assert read_request(write(asked)) == asked
    said = Reply(3, True, "Done.", nonce=b"x", facts={"a": 1.5, "b": None, "c": True})
    assert read_reply(write(said)) == said


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [b"", 1],
        [b"x" * 17, 1, "stop"],
        [b"", -1, "stop"],
        [b"", 1 << 62, "stop"],
        [b"", 1, "jump"],
        [b"", 1, "stop", "1" * 17],
        [b"", 1, "note", "", "x" * (LONGEST_TEXT + 1)],
        [b"", 1, "stop", "", "", "more"],
        [b"", 1.5, "stop"],
        ["text", 1, "stop"],
    ],
)
def test_a_request_of_another_form_is_refused(parts):
    with pytest.raises(DiverloopError, match="no request of this version"):
        read_request(msgspec.msgpack.encode(parts))


def outcome(read, frame):
    try:
        return str(type(read(frame)).__name__)
    except DiverloopError as error:
        return str(error)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_in_words(frame):
    for read, name in ((read_request, "Request"), (read_reply, "Reply")):
        said = outcome(read, frame)
        assert said == name or "of this version" in said


def test_deep_nesting_is_refused_in_words():
    with pytest.raises(DiverloopError, match="of this version"):
        read_reply(b"\x91" * 100_000)
