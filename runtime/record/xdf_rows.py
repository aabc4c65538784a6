"""Find the chunks of an XDF file, and take rows out of them.

No length is believed before it is checked against the file and against what the chunk holds.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from .xdf_chunks import boundary
from .xdf_format import BOUNDARY_UUID, NUMBER_FORMATS, STAMPED, Tag, Tally, row_dtype

BUFFER = 1 << 20  # bytes a read; at 1 MiB the calls to the kernel no longer show
_MOST_XML = 1 << 26  # bytes; a description of 64 MiB is a damaged length, not a description
_LEAST = {  # bytes of content after the tag
    Tag.FILE_HEADER: 1,
    Tag.STREAM_HEADER: 5,
    Tag.SAMPLES: 6,
    Tag.CLOCK_OFFSET: 20,
    Tag.BOUNDARY: 16,
    Tag.STREAM_FOOTER: 5,
}
_FIXED = (Tag.CLOCK_OFFSET, Tag.BOUNDARY)


class DamagedError(Exception):
    """A chunk that does not hold what it says."""


@dataclass(slots=True)
class KnownStream:
    """What is needed to read the rows of one stream."""

    tally: Tally
    period_s: float
    name: str
    last_s: float = np.nan
    ended: bool = False


def head_of(file: BinaryIO, at: int, size: int) -> tuple[Tag, int]:
    """Read tag and end of the chunk at a place; the file is left behind the tag."""
    stop = end_of(file, at)
    tag = int.from_bytes(file.read(2), "little")
    left = stop - file.tell()
    if stop > size or tag not in _LEAST or left < _LEAST[Tag(tag)]:
        raise DamagedError
    if tag in _FIXED and left != _LEAST[Tag(tag)]:
        raise DamagedError
    return Tag(tag), stop


def end_of(file: BinaryIO, at: int) -> int:
    """Where the chunk at a place says that it ends; the file is left behind its length."""
    file.seek(at)
    length = varlen(file)
    return file.tell() + length


def varlen(file: BinaryIO) -> int:
    """Read a number of 1, 4 or 8 bytes, led by how many they are."""
    width = file.read(1)
    if width not in (b"\x01", b"\x04", b"\x08"):
        raise DamagedError
    return int.from_bytes(file.read(width[0]), "little")


def begins(file: BinaryIO, at: int, size: int) -> bool:
    """Whether bytes at a place look like a chunk: one place in a million does by chance."""
    try:
        head_of(file, at, size)
    except DamagedError:
        return False
    return True


def next_foothold(file: BinaryIO, at: int, size: int) -> int | None:
    """Where to go on after a damaged chunk; None if nothing that follows can be read."""
    try:
        stop = end_of(file, at)
    except DamagedError:
        stop = size
    if at < stop < size and begins(file, stop, size):
        return stop
    return _next_boundary(file, at + 1, size)


def _next_boundary(file: BinaryIO, at: int, size: int) -> int | None:
    file.seek(at)
    seen, keep = b"", len(BOUNDARY_UUID) - 1
    while block := file.read(BUFFER):
        seen = seen[-keep:] + block
        found = seen.find(BOUNDARY_UUID)
        if found >= 0:
            mark = file.tell() - len(seen) + found
            # The chunk as every known writer writes it, or else what follows the mark.
            lead = boundary()[: -len(BOUNDARY_UUID)]
            file.seek(max(mark - len(lead), at))
            begins = file.read(len(lead)) == lead
            return mark - len(lead) if begins else min(mark + len(BOUNDARY_UUID), size)
    return None


def read_xml(file: BinaryIO, stop: int) -> str:
    """Read the rest of a chunk as XML that can be parsed."""
    n_bytes = stop - file.tell()
    if n_bytes > _MOST_XML:
        raise DamagedError
    text = file.read(n_bytes).decode("utf-8", "replace")
    try:
        ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise DamagedError from error
    return text


def read_numbers(
    file: BinaryIO, stream: KnownStream, n_rows: int, n_bytes: int
) -> tuple[NDArray[np.generic], NDArray[np.float64]]:
    """Read the rows of a chunk of numbers.

    Parameters
    ----------
    file : file
        Behind the count of rows.
    stream : KnownStream
        Whose they are.
    n_rows, n_bytes : int
        What the chunk says that it holds.

    Returns
    -------
    values : ndarray, shape (n_rows, n_channels)
        As they were sent, in memory of their own.
    stamps_s : ndarray of float64, shape (n_rows,)
        Their stamps; see `NumericSamples`.

    Raises
    ------
    DamagedError
        If the bytes are not such rows.
    """
    dtype = NUMBER_FORMATS[stream.tally.channel_format]
    row = row_dtype(dtype, stream.tally.channel_count)
    if n_bytes == n_rows * row.itemsize:
        rows = np.frombuffer(_exactly(file, n_bytes), row, n_rows)
        if not (rows["stamped"] == STAMPED).all():
            raise DamagedError
        return rows["values"].copy(), rows["stamp_s"].copy()
    if not n_rows * (row.itemsize - 8) <= n_bytes < n_rows * row.itemsize:
        raise DamagedError
    walk = _Walk(_exactly(file, n_bytes), stream)
    width = row.itemsize - 9
    stamps_s = np.empty(n_rows)
    values = bytearray()
    for number in range(n_rows):
        stamps_s[number] = walk.stamp_s()
        values += walk.take(width)
    walk.finish()
    shape = (n_rows, stream.tally.channel_count)
    return np.frombuffer(values, dtype).reshape(shape), stamps_s


def read_texts(
    file: BinaryIO, stream: KnownStream, n_rows: int, n_bytes: int
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Read the rows of a chunk of texts, as `read_numbers` does those of numbers."""
    n_channels = stream.tally.channel_count
    if n_rows * (1 + 2 * n_channels) > n_bytes:
        raise DamagedError
    walk = _Walk(_exactly(file, n_bytes), stream)
    stamps_s = np.empty(n_rows)
    texts = []
    for number in range(n_rows):
        stamps_s[number] = walk.stamp_s()
        texts.append(",".join(walk.text() for _ in range(n_channels)))
    walk.finish()
    return tuple(texts), stamps_s


def _exactly(file: BinaryIO, n_bytes: int) -> bytes:
    content = file.read(n_bytes)
    if len(content) != n_bytes:  # the file has shrunk since it was opened
        raise DamagedError
    return content


class _Walk:
    """Steps through the rows of a chunk whose rows differ in length."""

    def __init__(self, content: bytes, stream: KnownStream) -> None:
        self._content = content
        self._at = 0
        self._last_s = stream.last_s
        self._period_s = stream.period_s

    def take(self, n_bytes: int) -> bytes:
        taken = self._content[self._at : self._at + n_bytes]
        if len(taken) != n_bytes:
            raise DamagedError
        self._at += n_bytes
        return taken

    def stamp_s(self) -> float:
        stamped = self.take(1)[0]
        if stamped == STAMPED:
            self._last_s = struct.unpack("<d", self.take(8))[0]
        elif stamped == 0:
            self._last_s += self._period_s
        else:
            raise DamagedError
        return self._last_s

    def text(self) -> str:
        width = self.take(1)[0]
        if width not in (1, 4, 8):
            raise DamagedError
        n_bytes = int.from_bytes(self.take(width), "little")
        return self.take(n_bytes).decode("utf-8", "replace")

    def finish(self) -> None:
        if self._at != len(self._content):
            raise DamagedError
