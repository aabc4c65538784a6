from __future__ import annotations

import io
import struct

import numpy as np
import pytest

from diverloop.runtime.record import xdf_chunks
from diverloop.runtime.record.xdf_format import Tag, Tally
from diverloop.runtime.record.xdf_rows import (
    DamagedError,
    KnownStream,
    begins,
    head_of,
    next_foothold,
    read_numbers,
    read_texts,
    read_xml,
    varlen,
)


def stream(channel_format: str) -> KnownStream:
    return KnownStream(Tally(channel_format=channel_format, channel_count=1), 0.5, "a", 10.0)


@pytest.mark.parametrize(("width", "number"), [(1, 200), (4, 70_000), (8, 2**40)])
def test_a_number_of_variable_length_is_read(width, number):
    assert varlen(io.BytesIO(bytes([width]) + number.to_bytes(width, "little"))) == number


def test_a_number_of_any_other_length_is_damage():
    for width in (0, 2, 3, 5, 255):
        with pytest.raises(DamagedError):
            varlen(io.BytesIO(bytes([width]) * 9))


def test_the_head_of_a_chunk_tells_its_tag_and_end_if_it_fits_the_file():
    chunk = xdf_chunks.clock_offset(1, 2.0, 3.0)
    file = io.BytesIO(b"??" + chunk)
    assert head_of(file, 2, 2 + len(chunk)) == (Tag.CLOCK_OFFSET, 2 + len(chunk))
    assert not begins(file, 2, 1 + len(chunk))
    for wrong in (b"\x01\x16\x07\0", b"\x01\x15\x04\0", b"\x01\x01\x05\0", b"\x01\0\0\0"):
        assert not begins(io.BytesIO(wrong + bytes(40)), 0, 44)


def test_the_next_foothold_is_the_next_chunk_or_else_the_next_boundary_or_none():
    mark = xdf_chunks.boundary()
    framed = b"\x01\x04\x03\0??" + mark
    assert next_foothold(io.BytesIO(framed), 0, len(framed)) == 6
    lost = b"???" + mark
    assert next_foothold(io.BytesIO(lost), 0, len(lost)) == 3
    assert next_foothold(io.BytesIO(lost[:-1]), 0, len(lost) - 1) is None


def test_xml_that_cannot_be_parsed_is_damage():
    assert read_xml(io.BytesIO(b"<a/>...."), 4) == "<a/>"
    with pytest.raises(DamagedError):
        read_xml(io.BytesIO(b"<a>"), 3)


def test_rows_with_and_without_stamps_are_read_alike():
    stamped = struct.pack("<BdhBdh", 8, 1.0, 7, 8, 2.0, -7)
    bare = struct.pack("<BhBdh", 0, 7, 8, 2.0, -7)
    for content, expected in ((stamped, [1.0, 2.0]), (bare, [10.5, 2.0])):
        values, stamps_s = read_numbers(io.BytesIO(content), stream("int16"), 2, len(content))
        assert (values.dtype, values.tolist(), stamps_s.tolist()) == (
            np.int16,
            [[7], [-7]],
            expected,
        )


def test_rows_that_do_not_fill_their_chunk_are_damage():
    stamped = struct.pack("<BdhBdh", 8, 1.0, 7, 8, 2.0, -7)
    text = b"\0\x01\x01a"
    assert read_texts(io.BytesIO(text), stream("string"), 1, 4)[0] == ("a",)
    for content, n_rows in ((stamped, 1), (stamped, 3), (stamped[:-1], 2), (b"\x07" * 22, 2)):
        with pytest.raises(DamagedError):
            read_numbers(io.BytesIO(content), stream("int16"), n_rows, len(content))
    for content, n_rows in ((text + b"?", 1), (text, 2), (text[:-1], 1), (b"\0\x03\0\0\0", 1)):
        with pytest.raises(DamagedError):
            read_texts(io.BytesIO(content), stream("string"), n_rows, len(content))
