"""Remote Data Access, byte by byte: what is packed is read, and what is broken is refused."""

from __future__ import annotations

import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.hardware.rda_wire import (
    DATA16,
    DATA32,
    MAGIC,
    START,
    RdaBlock,
    RdaMarker,
    RdaSetup,
    message,
    pack_block,
    pack_setup,
    read_block,
    read_header,
    read_setup,
    resolutions,
)
from diverloop.runtime.errors import LinkLost, SchemaMismatch, SourceError, UnitError

SETUP = RdaSetup(rate_hz=500.0, names=("Fz", "Cz", "Pz"), resolutions_uv=(0.1, 0.5, 0.0488281))


def test_a_start_message_lies_on_the_wire_as_the_recorders_header_file_says():
    by_hand = (
        bytes.fromhex("8e45584396c9864caf4a98bbf6c91450")
        + struct.pack("<II", 24 + 12 + 24 + 9, 1)
        + struct.pack("<Id", 3, 2000.0)
        + struct.pack("<3d", 0.1, 0.5, 0.0488281)
        + b"Fz\0Cz\0Pz\0"
    )
    assert message(START, pack_setup(SETUP)) == by_hand
    assert read_header(by_hand[:24]) == (START, len(by_hand) - 24)
    assert read_setup(by_hand[24:]) == SETUP


def test_a_block_lies_on_the_wire_as_the_recorders_header_file_says():
    by_hand = (
        struct.pack("<III", 7, 2, 1)
        + struct.pack("<6h", 1, 2, 3, 4, 5, 6)
        + struct.pack("<IIIi", 16 + 14, 1, 1, -1)
        + b"Stimulus\0S  1\0"
    )
    marker = RdaMarker(position=1, type="Stimulus", description="S  1")
    values = np.arange(1, 7, dtype="<i2").reshape(2, 3)
    assert pack_block(RdaBlock(number=7, values=values, markers=(marker,))) == by_hand
    block = read_block(DATA16, by_hand, 3)
    assert (block.number, block.markers) == (7, (marker,))
    np.testing.assert_array_equal(block.values, values)


def test_floats_come_back_as_they_were_and_several_markers_in_order():
    values = np.array([[0.5, -1e-9, np.nan]], "<f4")
    markers = (
        RdaMarker(position=0, type="New Segment"),
        RdaMarker(position=3, type="Response", description="R  2", points=4, channel=1),
    )
    block = read_block(DATA32, pack_block(RdaBlock(number=0, values=values, markers=markers)), 3)
    np.testing.assert_array_equal(block.values, values)
    assert block.markers == markers
    assert [marker.label for marker in markers] == ["New Segment", "R  2"]


def test_names_that_are_no_utf_8_are_read_as_windows_writes_them():
    body = pack_setup(SETUP).replace(b"Pz", b"\xc4g")
    assert read_setup(body).names == ("Fz", "Cz", "\u00c4g")


def test_factors_are_exact_in_float32():
    (factor,) = resolutions([0.1])
    assert factor == float(np.float32(0.1))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"GET / HTTP/1.1\r\nHost: re", "not Remote Data Access"),
        (MAGIC + struct.pack("<II", 23, 1), "23 bytes long"),
        (MAGIC + struct.pack("<II", 2**31, 4), "2147483648 bytes long"),
    ],
    ids=["magic", "short", "long"],
)
def test_a_header_that_is_none_is_refused(data, said):
    with pytest.raises(LinkLost, match=said):
        read_header(data)


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"names": ()}, SchemaMismatch, "0 channels need names"),
        ({"names": ("Fz", "Cz", "Fz")}, SchemaMismatch, "need names that differ"),
        ({"names": ("Fz", "", "Pz")}, SchemaMismatch, "need names that differ"),
        ({"rate_hz": 0.5}, SchemaMismatch, "lie between samples"),
        ({"resolutions_uv": (0.1, 0.0, 0.1)}, UnitError, "'Cz' has a resolution of 0.0"),
        ({"resolutions_uv": (np.nan, 0.1, 0.1)}, UnitError, "'Fz' has a resolution of nan"),
        ({"resolutions_uv": (0.1, 0.1, 1e300)}, UnitError, r"'Pz' has a resolution of 1e\+300"),
    ],
    ids=["none", "twice", "empty", "rate", "zero", "nan", "beyond float32"],
)
def test_a_setup_that_cannot_be_used_is_refused(changes, error, said):
    fields = {name: getattr(SETUP, name) for name in SETUP.__slots__} | changes
    with pytest.raises(error, match=said):
        read_setup(pack_setup(RdaSetup(**fields)))


@pytest.mark.parametrize("cut", [3, 20, 40, 44])
def test_a_start_message_that_ends_too_early_is_refused(cut):
    with pytest.raises(LinkLost, match="start message"):
        read_setup(pack_setup(SETUP)[:cut])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"1234", "fewer than its head"),
        (struct.pack("<III", 0, 5, 0) + bytes(10), "5 points and 3 channels"),
        (struct.pack("<III", 0, 0, 1), "1 markers, but ends after 0"),
        (struct.pack("<IIIIIIi", 0, 0, 1, 900, 0, 0, 0), "900 bytes long; 16 are left"),
        (struct.pack("<IIIIIIi", 0, 0, 1, 0, 0, 0, 0), "0 bytes long"),
    ],
    ids=["head", "points", "no-marker", "long-marker", "empty-marker"],
)
def test_a_block_that_does_not_hold_what_it_says_is_refused(body, said):
    with pytest.raises(LinkLost, match=said):
        read_block(DATA16, body, 3)


@given(st.binary(max_size=120), st.integers(0, 40))
def test_no_bytes_bring_another_error_than_ours(data, cut):
    whole = pack_setup(SETUP)[:cut] + data
    for read in (read_setup, lambda body: read_block(DATA32, body, 3)):
        with suppress(SourceError):
            assert read(whole) is not None
