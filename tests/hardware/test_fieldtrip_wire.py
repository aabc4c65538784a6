"""The FieldTrip protocol's bytes, against examples of its description, and against rubbish."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.hardware.fieldtrip_wire import (
    MOST_BYTES,
    TYPE_OF,
    ChunkType,
    Code,
    Header,
    names_chunk,
    notes_chunk,
    number_format,
    pack,
    pack_header,
    pack_range,
    pack_rows,
    pack_wait,
    resolutions_chunk,
    unpack_frame,
    unpack_header,
    unpack_range,
    unpack_rows,
    unpack_wait,
)
from diverloop.runtime.errors import LinkLost


def test_a_question_for_samples_4_to_15_is_the_description_s_own_example():
    message = pack(Code.GET_DAT, pack_range(4, 15))
    assert message == bytes.fromhex("0100 0202 08000000 04000000 0f000000")
    assert unpack_frame(message[:8]) == (Code.GET_DAT, 8)
    assert unpack_range(message[8:]) == (4, 15)


def test_200_samples_of_32_channels_take_as_many_bytes_as_the_description_says():
    payload = pack_rows(np.zeros((200, 32), "<f4"))
    assert len(payload) == 25_616
    assert struct.unpack("<IIII", payload[:16]) == (32, 200, 9, 25_600)


def test_a_header_keeps_its_names_resolutions_and_notes():
    chunks = (
        names_chunk(("C3", "Cz", "µ4")),
        resolutions_chunk((0.5, 0.1, 1.0)),
        notes_chunk({"schema": "1", "notice": "none"}),
        (7, b"anything"),
    )
    header = Header(
        n_channels=3, rate_hz=250.0, dtype="<i2", n_samples=7, n_events=2, chunks=chunks
    )
    back = unpack_header(pack_header(header))
    assert back == header
    assert back.names == ("C3", "Cz", "µ4")
    assert back.resolutions == (0.5, 0.1, 1.0)
    assert dict(back.chunks)[ChunkType.KEYS_AND_VALUES] == b"schema\x001\x00notice\x00none\x00\x00"


def test_a_header_without_names_or_with_too_few_has_none():
    assert Header(n_channels=2, rate_hz=1.0).names == ()
    assert Header(n_channels=3, rate_hz=1.0, chunks=(names_chunk(("a", "b")),)).names == ()
    assert Header(n_channels=3, rate_hz=1.0, chunks=(resolutions_chunk((1.0,)),)).resolutions == ()


@pytest.mark.parametrize("dtype", TYPE_OF)
def test_rows_of_every_number_format_come_back_as_they_went(dtype):
    values = np.arange(6).reshape(3, 2).astype(dtype)
    back = unpack_rows(pack_rows(values))
    assert back.dtype.str == dtype
    np.testing.assert_array_equal(back, values)


def test_text_as_samples_is_read_as_small_whole_numbers():
    assert number_format(0) == "|i1"


def test_a_wait_and_a_range_come_back():
    assert unpack_wait(pack_wait(1, 2, 3)) == (1, 2, 3)
    assert unpack_range(pack_range(5, 6)) == (5, 6)


def header_bytes(n_channels=1, rate_hz=1.0, code=9) -> bytes:
    return struct.pack("<IIIfII", n_channels, 0, 0, rate_hz, code, 0)


@pytest.mark.parametrize(
    ("read", "data", "said"),
    [
        (unpack_frame, b"GET / HT", "47 45 54 20.*is not the FieldTrip protocol"),
        (unpack_frame, struct.pack(">HHI", 1, 0x201, 0), "big-endian"),
        (unpack_frame, struct.pack("<HHI", 1, 0x204, MOST_BYTES + 1), "was announced"),
        (unpack_header, b"short", "a header has 24 bytes, 5 came"),
        (unpack_header, header_bytes(n_channels=0), "a header of 0 channels"),
        (unpack_header, header_bytes(n_channels=10**9), "a header of 1000000000 channels"),
        (unpack_header, header_bytes(rate_hz=float("nan")), "a rate of nan Hz"),
        (unpack_header, header_bytes(rate_hz=-5.0), "a rate of -5.0 Hz"),
        (unpack_header, header_bytes(code=77), "unknown type 77"),
        (unpack_rows, b"", "16 bytes at least, 0 came"),
        (unpack_rows, struct.pack("<IIII", 2, 3, 9, 24) + b"x", "3 rows of 2 channels in 1 bytes"),
        (unpack_rows, struct.pack("<IIII", 2**31, 2**31, 9, 0), "rows of 2147483648 channels"),
        (unpack_range, b"123", "a range has 8 bytes, 3 came"),
        (unpack_wait, b"123", "a wait has 12 bytes, 3 came"),
    ],
)
def test_what_breaks_the_protocol_is_said_in_a_sentence(read, data, said):
    with pytest.raises(LinkLost, match=said):
        read(data)


def test_a_header_whose_last_part_is_cut_short_is_read_without_it():
    whole = pack_header(
        Header(n_channels=1, rate_hz=1.0, chunks=(names_chunk(("C3",)), (7, b"0123")))
    )
    assert unpack_header(whole[:-1]).chunks == (names_chunk(("C3",)),)


@given(st.binary(max_size=200), st.sampled_from([unpack_header, unpack_rows]))
def test_any_bytes_are_read_or_refused_and_nothing_else(data, read):
    try:
        found = read(data)
    except LinkLost:
        return
    if isinstance(found, Header):
        assert len(found.names) in (0, found.n_channels)
    else:
        assert found.nbytes == len(data) - 16
