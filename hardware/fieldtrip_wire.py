"""The FieldTrip buffer protocol, version 1: bytes to values and back, without a socket.

A client asks, the server answers, one answer for each question; both begin with the same eight
bytes. A buffer holds one header, the newest samples and the newest events. It counts both from 0,
in 32 bits, so a stream of 30 kHz begins anew after 39 hours.

======================  ==========================================  ===========================
question                holds                                       answer
======================  ==========================================  ===========================
`Code.GET_HDR`          nothing                                     a header
`Code.GET_DAT`          first and last sample, or nothing for all   rows
`Code.GET_EVT`          first and last event, or nothing for all    events
`Code.WAIT_DAT`         counts to exceed, and milliseconds          both counts
`Code.PUT_HDR`, ...     a header, rows, events                      nothing
`Code.FLUSH_HDR`, ...   nothing                                     nothing
======================  ==========================================  ===========================

References
----------
Oostenveld, Fries, Maris, Schoffelen. FieldTrip: open source software for advanced analysis of
MEG, EEG, and invasive electrophysiological data. Computational Intelligence and Neuroscience,
2011. The protocol is described under "Low-level FieldTrip buffer TCP network protocol" in its
manual.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import LinkLost

PORT = 1972
"""Where a buffer is served unless somebody chose otherwise."""

MOST_BYTES = 256 * 1024 * 1024
"""Of one message: a header of an MEG system with its files has some 10 MiB, a second of 4096
channels at 30 kHz in float32 has 470 MiB and has to be fetched in pieces."""

MOST_CHANNELS = 65_536
ALL = 0xFFFFFFFF
"""A threshold that is never exceeded, and a last sample that means the newest."""

_VERSION = 1
_FRAME = struct.Struct("<HHI")
_HEADER = struct.Struct("<IIIfII")
_DATA = struct.Struct("<IIII")
_PAIR = struct.Struct("<II")
_WAIT = struct.Struct("<III")

FRAME_BYTES = _FRAME.size
"""What every message begins with."""


class Code(IntEnum):
    """What a message is."""

    PUT_HDR = 0x101
    PUT_DAT = 0x102
    PUT_EVT = 0x103
    PUT_OK = 0x104
    PUT_ERR = 0x105
    GET_HDR = 0x201
    GET_DAT = 0x202
    GET_EVT = 0x203
    GET_OK = 0x204
    GET_ERR = 0x205
    FLUSH_HDR = 0x301
    FLUSH_DAT = 0x302
    FLUSH_EVT = 0x303
    FLUSH_OK = 0x304
    FLUSH_ERR = 0x305
    WAIT_DAT = 0x402
    WAIT_OK = 0x404
    WAIT_ERR = 0x405
    PUT_HDR_SILENT = 0x501
    PUT_DAT_SILENT = 0x502
    PUT_EVT_SILENT = 0x503


class ChunkType(IntEnum):
    """Parts of a header that are read here; there are others, which are only kept."""

    CHANNEL_NAMES = 1
    RESOLUTIONS = 3
    KEYS_AND_VALUES = 4


# By the protocol's own number of the type. Text as samples is read as small whole numbers.
_NUMBERS = ("|i1", "|u1", "<u2", "<u4", "<u8", "|i1", "<i2", "<i4", "<i8", "<f4", "<f8")
TEXT = 0
"""Number of the type of a text."""

TYPE_OF = {name: code for code, name in enumerate(_NUMBERS) if code != TEXT}
"""Number format as numpy writes it -> the protocol's number of the type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a buffer says of itself.

    Parameters
    ----------
    n_channels : int
        Numbers in a row.
    rate_hz : float
        Samples a second; float32 on the wire.
    dtype : str
        Number format of the rows as numpy writes it, for example ``"<f4"``.
    n_samples, n_events : int
        How many have been put so far; 0 in a header that is put.
    chunks : tuple of (int, bytes)
        The parts with a type of their own, see `ChunkType`.
    """

    n_channels: int
    rate_hz: float
    dtype: str = "<f4"
    n_samples: int = 0
    n_events: int = 0
    chunks: tuple[tuple[int, bytes], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Channel names; empty if it holds none, or fewer than channels."""
        parts = self._chunk(ChunkType.CHANNEL_NAMES).split(b"\0")[: self.n_channels]
        if len(parts) < self.n_channels or not all(parts):
            return ()
        return tuple(part.decode("utf-8", "replace") for part in parts)

    @property
    def resolutions(self) -> tuple[float, ...]:
        """Physical value of one unit of each channel; empty if it holds none that fit."""
        data = self._chunk(ChunkType.RESOLUTIONS)
        if len(data) != 8 * self.n_channels:
            return ()
        return struct.unpack(f"<{self.n_channels}d", data)

    def _chunk(self, wanted: ChunkType) -> bytes:
        return next((data for kind, data in self.chunks if kind == wanted), b"")


def names_chunk(names: Iterable[str]) -> tuple[int, bytes]:
    """Channel names as a part of a header."""
    return ChunkType.CHANNEL_NAMES, b"".join(name.encode() + b"\0" for name in names)


def resolutions_chunk(resolutions: Sequence[float]) -> tuple[int, bytes]:
    """Physical value of one unit of each channel, as a part of a header."""
    return ChunkType.RESOLUTIONS, struct.pack(f"<{len(resolutions)}d", *resolutions)


def notes_chunk(notes: Mapping[str, str]) -> tuple[int, bytes]:
    """Keys and values in words, as a part of a header."""
    words = [word.encode() + b"\0" for pair in notes.items() for word in pair]
    return ChunkType.KEYS_AND_VALUES, b"".join(words) + b"\0"


def pack(code: int, payload: bytes = b"") -> bytes:
    """A message.

    Parameters
    ----------
    code : int
        What it is.
    payload : bytes
        What it holds.

    Returns
    -------
    message : bytes
        As it goes on the wire.
    """
    return _FRAME.pack(_VERSION, code, len(payload)) + payload


def unpack_frame(data: bytes) -> tuple[int, int]:
    """What a message is, and how many bytes follow.

    Parameters
    ----------
    data : bytes
        The first eight.

    Returns
    -------
    code, size : int
        See `Code`.

    Raises
    ------
    LinkLost
        If they are of another protocol, or announce more than `MOST_BYTES`.
    """
    version, code, size = _FRAME.unpack(data)
    if version == 0x0100:
        raise LinkLost(
            "The other side speaks the FieldTrip protocol with the bytes in big-endian order; "
            "only little-endian is read: serve the buffer on a machine of that order."
        )
    if version != _VERSION:
        raise LinkLost(
            f"What came begins with {data.hex(' ')} and is not the FieldTrip protocol, version 1: "
            f"check host and port."
        )
    if size > MOST_BYTES:
        raise LinkLost(f"A FieldTrip message of {size} bytes was announced; read are {MOST_BYTES}.")
    return code, size


def pack_header(header: Header) -> bytes:
    """A header as the payload of a message."""
    parts = b"".join(_PAIR.pack(kind, len(data)) + data for kind, data in header.chunks)
    fixed = _HEADER.pack(
        header.n_channels, header.n_samples, header.n_events, header.rate_hz,
        TYPE_OF[header.dtype], len(parts),
    )  # fmt: skip
    return fixed + parts


def unpack_header(data: bytes) -> Header:
    """A header from the payload of a message.

    Parameters
    ----------
    data : bytes
        All of it.

    Returns
    -------
    header : Header
        With its parts; one that is cut short is left out.

    Raises
    ------
    LinkLost
        If it is too short, or says what no header can say.
    """
    demand(len(data) >= _HEADER.size, f"a header has {_HEADER.size} bytes, {len(data)} came")
    n_channels, n_samples, n_events, rate_hz, code, _ = _HEADER.unpack_from(data)
    demand(0 < n_channels <= MOST_CHANNELS, f"a header of {n_channels} channels")
    demand(math.isfinite(rate_hz) and rate_hz >= 0, f"a header with a rate of {rate_hz} Hz")
    chunks, at = [], _HEADER.size
    while at + _PAIR.size <= len(data):
        kind, size = _PAIR.unpack_from(data, at)
        at += _PAIR.size
        if at + size > len(data):
            break
        chunks.append((kind, data[at : at + size]))
        at += size
    return Header(
        n_channels=n_channels, rate_hz=rate_hz, dtype=number_format(code), n_samples=n_samples,
        n_events=n_events, chunks=tuple(chunks),
    )  # fmt: skip


def pack_rows(values: NDArray[np.generic]) -> bytes:
    """Rows as the payload of a message.

    Parameters
    ----------
    values : ndarray, shape (n_times, n_channels)
        Of a type that the protocol has, little-endian.
    """
    n_times, n_channels = values.shape
    data = np.ascontiguousarray(values).tobytes()
    return _DATA.pack(n_channels, n_times, TYPE_OF[values.dtype.str], len(data)) + data


def unpack_rows(data: bytes) -> NDArray[np.generic]:
    """Rows from the payload of a message.

    Parameters
    ----------
    data : bytes
        All of it.

    Returns
    -------
    values : ndarray, shape (n_times, n_channels)
        Read-only, in the memory of `data`.

    Raises
    ------
    LinkLost
        If its numbers contradict each other.
    """
    demand(len(data) >= _DATA.size, f"rows have {_DATA.size} bytes at least, {len(data)} came")
    n_channels, n_times, code, size = _DATA.unpack_from(data)
    dtype = np.dtype(number_format(code))
    demand(
        size == n_channels * n_times * dtype.itemsize == len(data) - _DATA.size,
        f"{n_times} rows of {n_channels} channels in {len(data) - _DATA.size} bytes of {dtype.str}",
    )
    return np.frombuffer(data, dtype, offset=_DATA.size).reshape(n_times, n_channels)


def pack_range(first: int, last: int) -> bytes:
    """Which samples or events are asked for, both ends included."""
    return _PAIR.pack(first, last)


def unpack_range(data: bytes) -> tuple[int, int]:
    """Which samples or events are asked for; raises `LinkLost` if it has another length."""
    demand(len(data) == _PAIR.size, f"a range has {_PAIR.size} bytes, {len(data)} came")
    first, last = _PAIR.unpack(data)
    return first, last


def pack_wait(n_samples: int, n_events: int, timeout_ms: int) -> bytes:
    """Wait until there are *more* samples or events than that, or for so many milliseconds."""
    return _WAIT.pack(n_samples, n_events, timeout_ms)


def unpack_wait(data: bytes) -> tuple[int, int, int]:
    """What is waited for; raises `LinkLost` if it has another length."""
    demand(len(data) == _WAIT.size, f"a wait has {_WAIT.size} bytes, {len(data)} came")
    n_samples, n_events, timeout_ms = _WAIT.unpack(data)
    return n_samples, n_events, timeout_ms


pack_counts, unpack_counts = pack_range, unpack_range
"""How many samples and events there are: two numbers, like a range."""


def number_format(code: int) -> str:
    """The number format of a type as numpy writes it; raises `LinkLost` if it is unknown."""
    demand(code < len(_NUMBERS), f"numbers of the unknown type {code}")
    return _NUMBERS[code]


def demand(kept: bool, otherwise: str) -> None:
    """Raise `LinkLost` with what came instead, unless a clause of the protocol was kept."""
    if not kept:
        raise LinkLost(f"The FieldTrip protocol was broken: {otherwise}.")
