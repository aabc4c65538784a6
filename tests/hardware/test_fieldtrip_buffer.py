"""What a buffer remembers and how it answers, without a socket."""

from __future__ import annotations

import struct
import threading

import numpy as np
import pytest

from diverloop.hardware.fieldtrip_buffer import FieldTripBuffer
from diverloop.hardware.fieldtrip_events import (
    AUTO_SAMPLE,
    BufferEvent,
    pack_events,
    unpack_events,
)
from diverloop.hardware.fieldtrip_wire import (
    ALL,
    Code,
    Header,
    pack,
    pack_header,
    pack_range,
    pack_rows,
    pack_wait,
    unpack_counts,
    unpack_frame,
    unpack_header,
    unpack_rows,
)
from diverloop.runtime.errors import LinkLost

HEADER = Header(n_channels=2, rate_hz=100.0, dtype="<f4")


def rows(first: int, n_times: int) -> np.ndarray:
    return np.repeat(np.arange(first, first + n_times, dtype="<f4")[:, None], 2, axis=1)


def ask(buffer: FieldTripBuffer, code: int, payload: bytes = b"", gone=lambda: False):
    message = buffer.answer(code, payload, gone)
    answer, size = unpack_frame(message[:8])
    assert size == len(message) - 8
    return answer, message[8:]


@pytest.fixture
def buffer():
    made = FieldTripBuffer(most_samples=100, most_events=3)
    made.put_header(HEADER)
    return made


def test_before_a_header_every_question_is_an_error():
    empty = FieldTripBuffer()
    answers = [
        ask(empty, code, payload)[0]
        for code, payload in (
            (Code.GET_HDR, b""),
            (Code.GET_DAT, b""),
            (Code.GET_EVT, b""),
            (Code.WAIT_DAT, pack_wait(0, 0, 60_000)),
            (Code.PUT_DAT, pack_rows(rows(0, 1))),
            (Code.PUT_EVT, pack_events([BufferEvent(sample=0, type="a")])),
            (Code.FLUSH_HDR, b""),
        )
    ]
    bad = [Code.GET_ERR] * 3 + [Code.WAIT_ERR] + [Code.PUT_ERR] * 2 + [Code.FLUSH_ERR]
    assert answers == bad


def test_what_a_client_puts_another_gets():
    buffer = FieldTripBuffer()
    for code, payload in (
        (Code.PUT_HDR, pack_header(HEADER)),
        (Code.PUT_DAT, pack_rows(rows(0, 5))),
        (Code.PUT_EVT, pack_events([BufferEvent(sample=3, type="cue", value="left")])),
    ):
        assert ask(buffer, code, payload) == (Code.PUT_OK, b"")
    code, payload = ask(buffer, Code.GET_HDR)
    assert code == Code.GET_OK
    header = unpack_header(payload)
    assert (header.n_samples, header.n_events, header.rate_hz) == (5, 1, 100.0)
    _, payload = ask(buffer, Code.GET_DAT, pack_range(1, 3))
    np.testing.assert_array_equal(unpack_rows(payload), rows(1, 3))
    (event,) = unpack_events(ask(buffer, Code.GET_EVT)[1])
    assert (event.sample, event.type, event.value) == (3, "cue", "left")


def test_putting_without_wanting_an_answer_gets_none_and_is_done(buffer):
    assert buffer.answer(Code.PUT_DAT_SILENT, pack_rows(rows(0, 4)), lambda: False) == b""
    assert buffer.answer(Code.PUT_DAT_SILENT, b"rubbish", lambda: False) == b""
    assert buffer.header.n_samples == 4


def test_the_oldest_samples_make_room_and_are_refused_afterwards(buffer):
    for first in range(0, 250, 50):
        buffer.put_rows(rows(first, 50))
    assert ask(buffer, Code.GET_DAT, pack_range(149, 160))[0] == Code.GET_ERR
    _, payload = ask(buffer, Code.GET_DAT, pack_range(150, ALL))
    np.testing.assert_array_equal(unpack_rows(payload), rows(150, 100))
    np.testing.assert_array_equal(unpack_rows(ask(buffer, Code.GET_DAT)[1]), rows(150, 100))


def test_more_samples_at_once_than_fit_leave_the_newest(buffer):
    buffer.put_rows(rows(0, 333))
    np.testing.assert_array_equal(unpack_rows(ask(buffer, Code.GET_DAT)[1]), rows(233, 100))
    assert buffer.header.n_samples == 333


def test_the_oldest_events_make_room(buffer):
    buffer.put_events([BufferEvent(sample=at, type="cue") for at in range(5)])
    assert ask(buffer, Code.GET_EVT, pack_range(1, 4))[0] == Code.GET_ERR
    events = unpack_events(ask(buffer, Code.GET_EVT, pack_range(2, 4))[1])
    assert [event.sample for event in events] == [2, 3, 4]


@pytest.mark.parametrize("wanted", [(5, 10), (6, 5), (ALL, ALL)], ids=["ahead", "reversed", "none"])
def test_samples_that_are_not_there_are_refused(buffer, wanted):
    buffer.put_rows(rows(0, 8))
    assert ask(buffer, Code.GET_DAT, pack_range(*wanted)) == (Code.GET_ERR, b"")


def test_an_event_without_a_sample_is_given_the_one_that_is_due(buffer):
    buffer.put_rows(rows(0, 50))
    buffer.put_events([BufferEvent(sample=AUTO_SAMPLE, type="cue")])
    (event,) = unpack_events(ask(buffer, Code.GET_EVT)[1])
    assert 50 <= event.sample < 50 + 100 * 60


def test_flushing_forgets_samples_events_or_everything(buffer):
    buffer.put_rows(rows(0, 5))
    buffer.put_events([BufferEvent(sample=0, type="a")])
    assert ask(buffer, Code.FLUSH_DAT) == (Code.FLUSH_OK, b"")
    assert (buffer.header.n_samples, buffer.header.n_events) == (0, 1)
    assert ask(buffer, Code.FLUSH_EVT) == (Code.FLUSH_OK, b"")
    assert buffer.header.n_events == 0
    assert ask(buffer, Code.FLUSH_HDR) == (Code.FLUSH_OK, b"")
    assert buffer.header is None


def test_a_wait_ends_when_there_is_more_than_was_asked_for(buffer):
    answers = []

    def wait() -> None:
        answers.append(ask(buffer, Code.WAIT_DAT, pack_wait(10, ALL, 60_000)))

    waiting = threading.Thread(target=wait)
    waiting.start()
    buffer.put_rows(rows(0, 10))
    assert not answers
    buffer.put_rows(rows(10, 1))
    waiting.join(10.0)
    ((code, payload),) = answers
    assert (code, unpack_counts(payload)) == (Code.WAIT_OK, (11, 0))


def test_a_wait_ends_with_its_time_with_its_client_or_with_the_buffer(buffer):
    for ended in (
        ask(buffer, Code.WAIT_DAT, pack_wait(10, ALL, 0)),
        ask(buffer, Code.WAIT_DAT, pack_wait(10, ALL, 20)),
        ask(buffer, Code.WAIT_DAT, pack_wait(10, ALL, 60_000), lambda: True),
    ):
        assert ended == (Code.WAIT_OK, struct.pack("<II", 0, 0))
    buffer.close()
    assert ask(buffer, Code.WAIT_DAT, pack_wait(10, ALL, 60_000))[0] == Code.WAIT_OK


def test_who_may_only_read_is_refused_everything_else():
    buffer = FieldTripBuffer(read_only=True)
    buffer.put_header(HEADER)
    buffer.put_rows(rows(0, 3))
    assert ask(buffer, Code.PUT_DAT, pack_rows(rows(0, 1))) == (Code.PUT_ERR, b"")
    assert ask(buffer, Code.PUT_HDR, pack_header(HEADER)) == (Code.PUT_ERR, b"")
    assert ask(buffer, Code.FLUSH_HDR) == (Code.FLUSH_ERR, b"")
    assert buffer.header.n_samples == 3


@pytest.mark.parametrize(
    "values", [rows(0, 2)[:, :1], rows(0, 2).astype("<f8")], ids=["channels", "numbers"]
)
def test_rows_of_another_form_than_the_header_s_are_refused(buffer, values):
    assert ask(buffer, Code.PUT_DAT, pack_rows(values)) == (Code.PUT_ERR, b"")
    with pytest.raises(LinkLost, match="under Header"):
        buffer.put_rows(values)


def test_an_event_that_is_too_large_is_refused(buffer):
    large = BufferEvent(sample=0, type="x" * 70_000)
    assert ask(buffer, Code.PUT_EVT, pack_events([large])) == (Code.PUT_ERR, b"")


def test_many_channels_leave_fewer_samples_in_the_memory_there_is():
    buffer = FieldTripBuffer(most_samples=10**9)
    buffer.put_header(Header(n_channels=65_536, rate_hz=1.0, dtype="<f8"))
    assert buffer._ring.nbytes <= 256 * 1024 * 1024


def test_an_unknown_question_and_a_malformed_wait_are_told(buffer):
    with pytest.raises(LinkLost, match="unknown kind 0x999"):
        buffer.answer(0x999, b"", lambda: False)
    assert buffer.answer(Code.WAIT_DAT, b"", lambda: False) == pack(Code.WAIT_ERR)
