"""The bytes of Brain Products' Remote Data Access: what a recorder says to who listens.

Every message begins with 24 bytes: a fixed mark of 16, the size of the whole message, and its
type. All numbers are little-endian.

=====  ===========  =================================================================
type   message      behind the header
=====  ===========  =================================================================
1      start        u32 channels, f64 microseconds between samples, f64 microvolts per
                    unit of each channel, their names, each ended by a zero byte
2, 4   data         u32 number of the block, u32 points, u32 markers, the points as
                    i16 (type 2) or f32 (type 4), all channels of a point together,
                    then the markers
3      stop         nothing
5 ...  others       state, impedances, keep-alive (10000): read over
=====  ===========  =================================================================

A marker is u32 size of itself, u32 position in the block, u32 points, i32 channel (-1 for all),
its type and its description, each ended by a zero byte.

References
----------
Nordholz, H. (2000). RDA.h, structures and constants of the Vision Recorder's Remote Data Access.
Brain Products GmbH; as several open clients carry it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import LinkLost, SchemaMismatch, UnitError

MAGIC: Final = bytes.fromhex("8e45584396c9864caf4a98bbf6c91450")
START, DATA16, STOP, DATA32, KEEP_ALIVE = 1, 2, 3, 4, 10_000
PORT16, PORT32 = 51_234, 51_244
NUMBERS: Final = {DATA16: "<i2", DATA32: "<f4"}
"""Type of a data message -> how its samples are written."""
HEADER: Final = struct.Struct("<16sII")
_SETUP = struct.Struct("<Id")
_BLOCK = struct.Struct("<III")
_MARK = struct.Struct("<IIIi")
_LARGEST = 64 * 2**20  # bytes: ten seconds of 256 channels at 5 kHz are 51 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class RdaSetup:
    """What a start message says.

    Parameters
    ----------
    rate_hz : float
        Sampling rate.
    names : tuple of str
        Labels of the channels, in order.
    resolutions_uv : tuple of float
        Microvolts per unit of each channel.
    """

    rate_hz: float
    names: tuple[str, ...]
    resolutions_uv: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RdaMarker:
    """A marker inside a block.

    Parameters
    ----------
    position : int
        Point in the block that it begins at.
    type : str
        For example ``"Stimulus"``.
    description : str
        For example ``"S  1"``; empty for types that say all.
    points : int
        How long it is.
    channel : int
        Row that it belongs to; -1 for all.
    """

    position: int
    type: str
    description: str = ""
    points: int = 1
    channel: int = -1

    @property
    def label(self) -> str:
        """The description, or the type of a marker that has none."""
        return self.description or self.type


@dataclass(frozen=True, slots=True, kw_only=True)
class RdaBlock:
    """What a data message says.

    Parameters
    ----------
    number : int
        Blocks that the recorder had made before, since it began to acquire.
    values : ndarray, shape (n_times, n_channels)
        int16 or float32, in units of the channels' resolutions.
    markers : tuple of RdaMarker
        In the order they were sent.
    """

    number: int
    values: NDArray[np.generic]
    markers: tuple[RdaMarker, ...] = ()


def message(kind: int, body: bytes = b"") -> bytes:
    """Wrap what a message says into its header.

    Parameters
    ----------
    kind : int
        Its type.
    body : bytes
        What follows the header.

    Returns
    -------
    data : bytes
        The whole message.
    """
    return HEADER.pack(MAGIC, HEADER.size + len(body), kind) + body


def read_header(data: bytes) -> tuple[int, int]:
    """Type of a message, and how many bytes follow its header.

    Parameters
    ----------
    data : bytes, 24 of them
        The header.

    Returns
    -------
    kind, size : int
        Type, and bytes still to come.

    Raises
    ------
    LinkLost
        If this is no header, or one of a message that nobody would send.
    """
    magic, size, kind = HEADER.unpack(data)
    if magic != MAGIC:
        raise LinkLost("What came is not Remote Data Access: a message began with another mark.")
    if not HEADER.size <= size <= _LARGEST:
        raise LinkLost(
            f"A message said to be {size} bytes long, outside [{HEADER.size}, {_LARGEST}]."
        )
    return kind, size - HEADER.size


def pack_setup(setup: RdaSetup) -> bytes:
    """Body of a start message; see `read_setup`."""
    head = _SETUP.pack(len(setup.names), 1e6 / setup.rate_hz)
    units = np.asarray(setup.resolutions_uv, "<f8").tobytes()
    return head + units + b"".join(name.encode() + b"\0" for name in setup.names)


def read_setup(body: bytes) -> RdaSetup:
    """Understand the body of a start message.

    Parameters
    ----------
    body : bytes
        What followed the header.

    Returns
    -------
    setup : RdaSetup
        Rate, names and units.

    Raises
    ------
    LinkLost
        If it is too short for what it says.
    SchemaMismatch
        If its rate or its names cannot be used.
    UnitError
        If a resolution is no positive number.
    """
    if len(body) < _SETUP.size:
        raise LinkLost(f"A start message holds {len(body)} bytes, fewer than its head.")
    n_channels, interval_us = _SETUP.unpack_from(body)
    names_at = _SETUP.size + 8 * n_channels
    names = [_text(part) for part in body[names_at:].split(b"\0", n_channels)[:-1]]
    if len(body) < names_at or len(names) < n_channels:
        raise LinkLost(f"A start message tells of {n_channels} channels, but ends before them.")
    units = np.frombuffer(body, "<f8", n_channels, _SETUP.size).tolist()
    _check_setup(interval_us, names, units)
    return RdaSetup(
        # What is left of a binary fraction after the division is no part of a rate.
        rate_hz=round(1e6 / interval_us, 6),
        names=tuple(names),
        resolutions_uv=tuple(units),
    )


def _check_setup(interval_us: float, names: list[str], units: list[float]) -> None:
    if not 1.0 <= interval_us <= 1e6:
        raise SchemaMismatch(
            f"The recorder says that {interval_us} us lie between samples; allowed are 1 to "
            f"1000000: check its workspace."
        )
    if not names or "" in names or len(set(names)) < len(names):
        raise SchemaMismatch(
            f"The recorder's {len(names)} channels need names that differ, got "
            f"{', '.join(map(repr, names[:8]))}: name them in its workspace."
        )
    for name, unit, factor in zip(names, units, resolutions(units), strict=True):
        if not 0 < factor < math.inf:
            raise UnitError(
                f"Channel {name!r} has a resolution of {unit} uV; it must be a positive number: "
                f"check the recorder's workspace."
            )


def pack_block(block: RdaBlock) -> bytes:
    """Body of a data message; see `read_block`."""
    head = _BLOCK.pack(block.number, len(block.values), len(block.markers))
    return head + block.values.tobytes() + b"".join(map(_pack_marker, block.markers))


def _pack_marker(marker: RdaMarker) -> bytes:
    text = marker.type.encode() + b"\0" + marker.description.encode() + b"\0"
    size = _MARK.size + len(text)
    return _MARK.pack(size, marker.position, marker.points, marker.channel) + text


def read_block(kind: int, body: bytes, n_channels: int) -> RdaBlock:
    """Understand the body of a data message.

    Parameters
    ----------
    kind : int
        Type of the message, `DATA16` or `DATA32`.
    body : bytes
        What followed the header.
    n_channels : int
        As the start message said.

    Returns
    -------
    block : RdaBlock
        Samples and markers.

    Raises
    ------
    LinkLost
        If it does not hold what it says.
    """
    if len(body) < _BLOCK.size:
        raise LinkLost(f"A block holds {len(body)} bytes, fewer than its head.")
    number, n_times, n_markers = _BLOCK.unpack_from(body)
    numbers = np.dtype(NUMBERS[kind])
    markers_at = _BLOCK.size + n_times * n_channels * numbers.itemsize
    if len(body) < markers_at:
        raise LinkLost(
            f"A block of {n_times} points and {n_channels} channels holds {len(body)} bytes, "
            f"not the {markers_at} that they take."
        )
    values = np.frombuffer(body, numbers, n_times * n_channels, _BLOCK.size)
    return RdaBlock(
        number=number,
        values=values.reshape(n_times, n_channels),
        markers=_read_markers(body[markers_at:], n_markers),
    )


def _read_markers(data: bytes, count: int) -> tuple[RdaMarker, ...]:
    markers: list[RdaMarker] = []
    at = 0
    while len(markers) < count:
        if len(data) < at + _MARK.size:
            raise LinkLost(f"A block tells of {count} markers, but ends after {len(markers)}.")
        size, position, points, channel = _MARK.unpack_from(data, at)
        if not _MARK.size <= size <= len(data) - at:
            raise LinkLost(f"A marker is said to be {size} bytes long; {len(data) - at} are left.")
        kind, _, description = data[at + _MARK.size : at + size].partition(b"\0")
        markers.append(
            RdaMarker(
                position=position, points=points, channel=channel, type=_text(kind),
                description=_text(description.partition(b"\0")[0]),
            )
        )  # fmt: skip
        at += size
    return tuple(markers)


def _text(data: bytes) -> str:
    """Names are ASCII by the book, but recorders let people type what they like."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def resolutions(values: Sequence[float]) -> tuple[float, ...]:
    """The nearest factors that are exact in float32, in which signal is computed.

    Parameters
    ----------
    values : sequence of float
        Microvolts per unit, as sent in float64.

    Returns
    -------
    factors : tuple of float
        As `Sent` wants them; 0 or infinite where float32 has no such number.
    """
    with np.errstate(over="ignore"):
        return tuple(np.array(values, np.float64).astype(np.float32).tolist())
