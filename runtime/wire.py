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
from numpy.typing import NDArray

from .errors import DiverloopError

WIRE_VERSION = 2

_NUMBERS = frozenset(np.dtype(code).newbyteorder("<").str for code in "?bBhHiIqQefd")


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
        if frame < 0:
            raise ValueError(f"there is no frame {frame}")
        flat = np.frombuffer(frames[2 + frame], number_type(dtype))
        return shaped(flat, shape)

    try:
        version, sequence, raw = msgspec.msgpack.decode(
            frames[1], type=tuple[int, int, msgspec.Raw]
        )
        if version != WIRE_VERSION:
            raise ValueError(f"wire version {version} where {WIRE_VERSION} is understood")
        return sequence, msgspec.msgpack.decode(raw, type=types[frames[0]], dec_hook=rebuilt)
    except (msgspec.MsgspecError, ValueError, TypeError, LookupError, RecursionError) as error:
        raise DiverloopError(
            f"Got {len(frames)} frames that are no message of this version ({error}); run the "
            "same diverloop on both ends."
        ) from error


def number_type(dtype: str) -> np.dtype[Any]:
    """What numpy calls a format, if arrays of it are carried.

    Parameters
    ----------
    dtype : str
        As it came; numpy would evaluate some texts as Python, so only known ones are given to it.

    Returns
    -------
    number : dtype
        Of whole numbers, floating-point numbers or truths, little-endian.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if dtype not in _NUMBERS:
        raise ValueError(f"arrays of {dtype!r} are not carried")
    return np.dtype(dtype)


def shaped(flat: NDArray[Any], shape: Sequence[int]) -> NDArray[Any]:
    """Numbers in a row as an array of a shape, in memory of its own.

    Parameters
    ----------
    flat : ndarray, shape (n,)
        The numbers.
    shape : sequence of int
        As it came.

    Returns
    -------
    array : ndarray
        Of exactly that shape.

    Raises
    ------
    ValueError, TypeError
        If the numbers do not fill it.
    """
    made = flat.reshape(shape).copy()
    if made.shape != tuple(shape):  # numpy takes a negative length for "whatever fits"
        raise ValueError(f"{flat.size} numbers do not make an array of shape {tuple(shape)}")
    return made
