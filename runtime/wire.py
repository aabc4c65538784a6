"""How messages travel between processes of this machine.

A message becomes frames: topic, header, then one frame for each array in it. The header is msgpack
of (wire version, sequence number, message), where an array is replaced by (dtype, shape, which
frame). Array frames are raw little-endian bytes in C order, so nothing is rounded and NaN survives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_origin

import msgspec
import numpy as np

from .errors import DiverloopError

WIRE_VERSION = 2


def encode(topic: bytes, message: object, sequence: int = 0) -> list[bytes]:
    """Turn a message into frames.

    Parameters
    ----------
    topic : bytes
        What kind of message it is.
    message : object
        A dataclass of plain values, arrays and other such dataclasses.
    sequence : int
        Its number among its like.

    Returns
    -------
    frames : list of bytes
        Topic, header, and one frame for each array.
    """
    bodies: list[bytes] = []

    def plain(value: object) -> object:
        if isinstance(value, np.ndarray):
            little = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
            bodies.append(little.tobytes())
            return (little.dtype.str, value.shape, len(bodies) - 1)
        if isinstance(value, np.generic):
            return value.item()
        raise NotImplementedError(f"{type(value).__name__} has no place on the wire.")

    header = msgspec.msgpack.encode((WIRE_VERSION, sequence, message), enc_hook=plain)
    return [topic, header, *bodies]


def decode(frames: Sequence[bytes], types: Mapping[bytes, Any]) -> tuple[int, Any]:
    """Rebuild a message from its frames.

    Parameters
    ----------
    frames : sequence of bytes
        As `encode` made them.
    types : mapping of bytes to type
        What each topic holds.

    Returns
    -------
    sequence : int
        Its number among its like.
    message : object
        Equal to what was sent, bit for bit; its arrays belong to the caller.

    Raises
    ------
    DiverloopError
        If the frames are not such a message, or of another wire version.
    """

    def rebuilt(kind: type, value: Any) -> object:
        if (get_origin(kind) or kind) is not np.ndarray:
            raise NotImplementedError(f"{kind} has no place on the wire.")
        dtype, shape, frame = value
        return np.frombuffer(frames[2 + frame], _number(dtype)).reshape(shape).copy()

    try:
        version, sequence, raw = msgspec.msgpack.decode(
            frames[1], type=tuple[int, int, msgspec.Raw]
        )
        if version != WIRE_VERSION:
            raise ValueError(f"wire version {version} where {WIRE_VERSION} is understood")
        return sequence, msgspec.msgpack.decode(raw, type=types[frames[0]], dec_hook=rebuilt)
    except (msgspec.MsgspecError, ValueError, TypeError, LookupError) as error:
        raise DiverloopError(
            f"Got {len(frames)} frames that are no message of this version ({error}); run the "
            "same diverloop on both ends."
        ) from error


def _number(dtype: str) -> np.dtype[Any]:
    made = np.dtype(dtype)
    if made.kind not in "fiub":
        raise ValueError(f"arrays of {dtype!r} are not carried")
    return made
