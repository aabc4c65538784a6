"""Frames between processes: bit for bit, and nothing but a sentence for what is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from diverloop.runtime.errors import DiverloopError
from diverloop.runtime.wire import WIRE_VERSION, decode, encode


@dataclass(frozen=True, kw_only=True)
class Inner:
    values: NDArray[Any]
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Parcel:
    number: int
    first: NDArray[Any]
    inner: tuple[Inner, ...] = ()
    named: dict[str, NDArray[Any]] | None = None
    factor: float = 0.0


TYPES = {b"parcel": Parcel, b"inner": Inner}
ARRAYS = npst.arrays(
    st.sampled_from(["<f4", "<f8", "<i1", "<i2", "<i8", "<u4", "|b1", "<f2"]),
    npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5),
)
PARCELS = st.builds(
    Parcel,
    number=st.integers(-(2**62), 2**62),
    first=ARRAYS,
    inner=st.lists(st.builds(Inner, values=ARRAYS, text=st.text(max_size=4)), max_size=3).map(
        tuple
    ),
    named=st.none() | st.dictionaries(st.text(max_size=3), ARRAYS, max_size=2),
    factor=st.floats(),
)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, Inner | Parcel):
        return all(same(getattr(one, key), getattr(other, key)) for key in vars(one))
    return repr(one) == repr(other)


@given(parcel=PARCELS, sequence=st.integers(0, 2**60))
def test_a_message_comes_back_bit_for_bit_with_its_number(parcel, sequence):
    number, again = decode(encode(b"parcel", parcel, sequence), TYPES)
    assert number == sequence
    assert same(parcel, again)


def test_arrays_travel_raw_and_in_frames_of_their_own():
    first, values = np.arange(3, dtype=">i2"), np.array([[1.0, 2.0], [3.0, 4.0]]).T
    frames = encode(b"parcel", Parcel(number=1, first=first, inner=(Inner(values=values),)), 7)
    assert frames[0] == b"parcel"
    assert frames[2:] == [bytes((0, 0, 1, 0, 2, 0)), np.array([1.0, 3.0, 2.0, 4.0]).tobytes()]
    version, sequence, header = msgspec.msgpack.decode(frames[1])
    assert (version, sequence) == (WIRE_VERSION, 7)
    assert header["first"] == ["<i2", [3], 0]
    assert header["inner"][0]["values"] == ["<f8", [2, 2], 1]


def test_arrays_that_arrive_are_the_receivers_own():
    frames = encode(b"inner", Inner(values=np.arange(3.0)))
    one, other = (decode(frames, TYPES)[1].values for _ in range(2))
    one[:] = -1
    assert other.tolist() == [0.0, 1.0, 2.0]


def test_numbers_of_numpy_travel_as_plain_ones():
    frames = encode(b"inner", Inner(values=np.zeros(1), text=np.str_("cue")))
    assert type(decode(frames, TYPES)[1].text) is str


def test_what_has_no_place_on_the_wire_is_not_sent():
    with pytest.raises(NotImplementedError, match="object has no place on the wire"):
        encode(b"inner", Inner(values=object()))


def header(first: Any, version: int = WIRE_VERSION) -> bytes:
    return msgspec.msgpack.encode((version, 0, {"number": 1, "first": first}))


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [b"parcel"],
        [b"parcel", b""],
        [b"unknown", header(["<f8", [1], 0]), bytes(8)],
        [b"parcel", header(["<f8", [1], 0], WIRE_VERSION + 1), bytes(8)],
        [b"parcel", header(["<f8", [1], 0])],
        [b"parcel", header(["<f8", [1], 0]), bytes(7)],
        [b"parcel", header(["<f8", [2], 0]), bytes(8)],
        [b"parcel", header(["<f8", [-2], 0]), bytes(8)],
        [b"parcel", header(["<f8", [2**63], 0]), bytes(8)],
        [b"parcel", header(["<f8", "x", 0]), bytes(8)],
        [b"parcel", header(["<f8", [1], "x"]), bytes(8)],
        [b"parcel", header(["<f8", [1], 2**62]), bytes(8)],
        [b"parcel", header(["<f8", [1], -1]), bytes(8)],
        [b"parcel", header([["<f8"], [1], 0]), bytes(8)],
        [b"parcel", header(["<f8", -1, 0]), bytes(8)],
        [b"parcel", header(["<f8", [1]]), bytes(8)],
        [b"parcel", header(None), bytes(8)],
        [b"parcel", header(3), bytes(8)],
        [b"parcel", header(["|O", [1], 0]), bytes(8)],
        [b"parcel", header(["<U2", [1], 0]), bytes(8)],
        [b"parcel", header(["nonsense", [1], 0]), bytes(8)],
        [b"parcel", header(["(((", [1], 0]), bytes(8)],
        [b"parcel", header([",", [1], 0]), bytes(8)],
        [b"parcel", header([3, [1], 0]), bytes(8)],
    ],
)
def test_what_is_no_message_is_refused_in_one_sentence(frames):
    with pytest.raises(DiverloopError) as caught:
        decode(frames, TYPES)
    assert f"Got {len(frames)} frames that are no message of this version" in str(caught.value)
    assert "run the same diverloop on both ends" in str(caught.value)


def test_a_header_is_no_array_of_its_own():
    lengths = {n: header(["|i1", [n], -1]) for n in range(128)}
    (itself,) = [made for n, made in lengths.items() if len(made) == n]
    with pytest.raises(DiverloopError, match="there is no frame -1"):
        decode([b"parcel", itself], TYPES)


@settings(max_examples=300)
@given(parcel=PARCELS, data=st.data())
def test_a_damaged_message_is_read_or_refused_and_nothing_else(parcel, data):
    frames = encode(b"parcel", parcel)
    number = data.draw(st.integers(0, len(frames) - 1))
    hurt = bytearray(frames[number])
    for _ in range(data.draw(st.integers(1, 3))):
        if hurt:
            hurt[data.draw(st.integers(0, len(hurt) - 1))] = data.draw(st.integers(0, 255))
    frames[number] = bytes(hurt)
    try:
        assert isinstance(decode(frames, TYPES)[1], Parcel)
    except DiverloopError as error:
        assert "no message" in str(error)  # noqa: PT017
