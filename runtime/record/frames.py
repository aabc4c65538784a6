"""Messages on a pipe: how the loop's process and the recorder's process speak.

A message is a count of parts, the length of each, then the parts: see `wire` for what is in them.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from ..errors import RecordingError
from ..messages import Chunk, Event, Promotion, StreamSpec
from ..quality import Quality
from .contents import Note
from .entries import End, TurnEntry
from .manifest import Manifest
from .tape import Pass

TYPES: dict[bytes, type] = {
    b"manifest": Manifest,
    b"spec": StreamSpec,
    b"chunk": Chunk,
    b"turn": TurnEntry,
    b"event": Event,
    b"pass": Pass,
    b"promotion": Promotion,
    b"quality": Quality,
    b"note": Note,
    b"end": End,
}
"""What each topic on the pipe holds."""

TOPICS = {kind: topic for topic, kind in TYPES.items()}
"""The topic of each kind of message."""

_MOST_PARTS = 100_000
_LONGEST_PART = 1 << 31


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How far a file is on the disk, and what its recorder knew there that is not in it.

    Parameters
    ----------
    bytes : int
        Length to which all is on the disk; 0 for a file that is to be made.
    grid_s : float
        Stamp of sample 0 in a stream without stamps of its own; NaN while there is none.
    row_shift : int
        What to add to a source's count of its rows to have the file's.
    """

    bytes: int = 0
    grid_s: float = math.nan
    row_shift: int = 0


def pack(parts: Sequence[bytes]) -> bytes:
    """Put the parts of a message behind one another.

    Parameters
    ----------
    parts : sequence of bytes
        As `wire.encode` makes them.

    Returns
    -------
    packed : bytes
        For the pipe.
    """
    lengths = struct.pack(f"<{len(parts) + 1}I", len(parts), *map(len, parts))
    return b"".join((lengths, *parts))


def read_parts(pipe: BinaryIO) -> list[bytes] | None:
    """Read the next message.

    Parameters
    ----------
    pipe : binary file
        Where it comes from.

    Returns
    -------
    parts : list of bytes or None
        None when the pipe has ended, even if it did so in the middle of a message.

    Raises
    ------
    RecordingError
        If what comes is no message.
    """
    head = pipe.read(4)
    if len(head) < 4:
        return None
    (count,) = struct.unpack("<I", head)
    if not 2 <= count <= _MOST_PARTS:
        raise RecordingError(
            f"The recorder was sent {count} parts where a message has 2 to {_MOST_PARTS}: it is "
            f"meant to be started by a session, not by hand."
        )
    sizes = pipe.read(4 * count)
    if len(sizes) < 4 * count:
        return None
    parts = []
    for (size,) in struct.iter_unpack("<I", sizes):
        if size > _LONGEST_PART:
            raise RecordingError(f"The recorder was sent a part of {size} bytes, which is no part.")
        part = pipe.read(size)
        if len(part) < size:
            return None
        parts.append(part)
    return parts
