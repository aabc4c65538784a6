"""Events of the FieldTrip buffer protocol: bytes to labels and back."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .fieldtrip_wire import ALL, TEXT, TYPE_OF, demand, number_format

MOST_EVENTS = 100_000
"""In one message."""

AUTO_SAMPLE = -1
"""Sample of an event that the server is to replace by its own count."""

# The sample is signed in the protocol's description and unsigned in what clients do; -1 alone is
# meant as negative.
_EVENT = struct.Struct("<IIIIIiiI")


@dataclass(frozen=True, slots=True, kw_only=True)
class BufferEvent:
    """A label in a buffer.

    Parameters
    ----------
    sample : int
        The buffer's number of the sample it belongs to.
    type : str or ndarray
        What kind of label, for example ``"stimulus"``.
    value : str or ndarray
        Which one, for example ``"left"`` or ``[7]``.
    offset, duration : int
        In samples.
    """

    sample: int
    type: str | NDArray[np.generic]
    value: str | NDArray[np.generic] = ""
    offset: int = 0
    duration: int = 0

    @property
    def type_text(self) -> str:
        """The type in words."""
        return _in_words(self.type)

    @property
    def value_text(self) -> str:
        """The value in words, a whole number without a point; empty if there is none."""
        return _in_words(self.value)


def pack_events(events: Iterable[BufferEvent]) -> bytes:
    """Events as the payload of a message.

    Parameters
    ----------
    events : iterable of BufferEvent
        In order.
    """
    return b"".join(_pack_event(event) for event in events)


def unpack_events(data: bytes) -> list[BufferEvent]:
    """Events from the payload of a message.

    Parameters
    ----------
    data : bytes
        All of it.

    Returns
    -------
    events : list of BufferEvent
        In order.

    Raises
    ------
    LinkLost
        If one of them is cut short, or there are more than `MOST_EVENTS`.
    """
    events: list[BufferEvent] = []
    at = 0
    while at < len(data):
        demand(len(events) < MOST_EVENTS, f"more than {MOST_EVENTS} events at once")
        demand(at + _EVENT.size <= len(data), "an event that is cut short")
        fixed = _EVENT.unpack_from(data, at)
        at += _EVENT.size
        demand(at + fixed[-1] <= len(data), "an event that is cut short")
        events.append(_unpack_event(fixed, data[at : at + fixed[-1]]))
        at += fixed[-1]
    return events


def _pack_event(event: BufferEvent) -> bytes:
    type_code, type_numel, type_data = _pack_word(event.type)
    value_code, value_numel, value_data = _pack_word(event.value)
    fixed = _EVENT.pack(
        type_code, type_numel, value_code, value_numel, event.sample & ALL, event.offset,
        event.duration, len(type_data) + len(value_data),
    )  # fmt: skip
    return fixed + type_data + value_data


def _pack_word(word: str | NDArray[np.generic]) -> tuple[int, int, bytes]:
    if isinstance(word, str):
        data = word.encode()
        return TEXT, len(data), data
    return TYPE_OF[word.dtype.str], word.size, word.tobytes()


def _unpack_event(fixed: tuple[int, ...], data: bytes) -> BufferEvent:
    type_code, type_numel, value_code, value_numel, sample, offset, duration, _ = fixed
    cut = type_numel * np.dtype(number_format(type_code)).itemsize
    end = cut + value_numel * np.dtype(number_format(value_code)).itemsize
    demand(end <= len(data), f"an event of {end} bytes in {len(data)}")
    return BufferEvent(
        sample=AUTO_SAMPLE if sample == ALL else sample,
        offset=offset,
        duration=duration,
        type=_unpack_word(type_code, data[:cut]),
        value=_unpack_word(value_code, data[cut:end]),
    )


def _unpack_word(code: int, data: bytes) -> str | NDArray[np.generic]:
    if code == TEXT:
        return data.decode("utf-8", "replace")
    return np.frombuffer(data, number_format(code))


def _in_words(word: str | NDArray[np.generic]) -> str:
    if isinstance(word, str):
        return word.rstrip("\0")
    # MATLAB sends every number as float64, so that a code of 7 comes as 7.0.
    return ",".join(f"{n:.10g}" if isinstance(n, float) else str(n) for n in word.tolist())
