"""Read XDF from beginning to end in constant memory, and go on after what is damaged.

Chunks come in the order of the file, as they were sent: no clock is corrected, no stamp smoothed.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from ..errors import RecordingError
from .xdf_format import BOUNDARY_UUID, MAGIC, NUMBER_FORMATS, Tag, Tally, tally_of
from .xdf_rows import (
    BUFFER,
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

_TOLD = 8  # damaged stretches that get a sentence of their own


@dataclass(frozen=True, slots=True, kw_only=True)
class FileHeader:
    """The first chunk of a file: its XML as text."""

    xml: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A stream begins.

    Parameters
    ----------
    stream_id : int
        Its number in this file.
    name, type, source_id : str
        As the sender calls it, its kind, and itself.
    channel_count : int
        Values in a row.
    channel_format : str
        ``"string"``, ``"float32"``, ``"double64"`` or ``"int8"`` to ``"int64"``.
    nominal_srate : float
        Promised rate in Hz; 0 where there is none.
    xml : str
        The whole description.
    """

    stream_id: int
    name: str
    type: str
    source_id: str
    channel_count: int
    channel_format: str
    nominal_srate: float
    xml: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericSamples:
    """Rows of numbers.

    Parameters
    ----------
    stream_id : int
        Whose they are.
    values : ndarray, shape (n_rows, n_channels)
        In the format they were sent in, in memory of their own.
    stamps_s : ndarray of float64, shape (n_rows,)
        The sender's stamps. Where the file leaves one out: one period after the row before,
        NaN where that is not known.
    """

    stream_id: int
    values: NDArray[np.generic]
    stamps_s: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSamples:
    """Rows of text.

    Parameters
    ----------
    stream_id : int
        Whose they are.
    texts : tuple of str
        One a row; rows of several channels are joined by commas, bytes that are not UTF-8
        become U+FFFD.
    stamps_s : ndarray of float64, shape (n_rows,)
        As in `NumericSamples`.
    """

    stream_id: int
    texts: tuple[str, ...]
    stamps_s: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offset:
    """A measured clock offset: `offset_s` is added to stamps near `collected_s`."""

    stream_id: int
    collected_s: float
    offset_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """A place at which a reader can find its feet again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Footer:
    """A stream ended: what its writer counted, as XML."""

    stream_id: int
    xml: str


XdfChunk = FileHeader | Header | NumericSamples | TextSamples | Offset | Boundary | Footer
"""What a file is made of."""


class XdfReader:
    """A file as chunks; every ``iter()`` starts anew.

    Parameters
    ----------
    path : str or Path
        An XDF file, whole or not.

    Raises
    ------
    RecordingError
        If the file cannot be read, or is not XDF.

    Notes
    -----
    A damaged chunk is left out alone if another chunk begins where it says that it ends;
    otherwise everything up to the next boundary is. What follows the last whole chunk is left
    out too. Each is told in `remarks`.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._forget()
        try:
            with self._path.open("rb") as file:
                start = file.read(len(MAGIC))
        except OSError as error:
            raise self._unreadable(error) from error
        if start != MAGIC:
            raise RecordingError(
                f"{self._path} is not an XDF file: it has to begin with {MAGIC!r}, and begins "
                f"with {start!r}; give a file that LabRecorder or diverloop wrote."
            )

    @property
    def bytes_read(self) -> int:
        """Where the last whole chunk that was given ends; a writer can go on from there."""
        return self._whole

    @property
    def chunk_at(self) -> int:
        """Where the chunk that was given last begins: a place for `read_at`."""
        return self._chunk_at

    @property
    def tallies(self) -> dict[int, Tally]:
        """Rows, stamps and offsets of every stream up to there: a copy."""
        return {number: replace(stream.tally) for number, stream in self._streams.items()}

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was noticed, one sentence each; complete when the iteration is."""
        return (*self._on_damage(), *self._on_orphans(), *self._on_end())

    def __iter__(self) -> Iterator[XdfChunk]:
        """Give the chunks in the order of the file; raise `RecordingError` if the disk fails."""
        self._forget()
        try:
            with self._path.open("rb", buffering=BUFFER) as file:
                yield from self._walk(file)
        except OSError as error:
            raise self._unreadable(error) from error

    def read_at(self, file: BinaryIO, place: int) -> XdfChunk | None:
        """Read one chunk again, wherever it stands, after an iteration has found it.

        Parameters
        ----------
        file : binary file
            The same file, open for reading.
        place : int
            A `chunk_at` of that iteration.

        Returns
        -------
        chunk : XdfChunk or None
            None if it is not there any more.
        """
        size = os.fstat(file.fileno()).st_size
        try:
            tag, stop = head_of(file, place, size)
            return self._content(file, tag, stop, size)
        except DamagedError:
            return None

    def _forget(self) -> None:
        self._whole = self._chunk_at = len(MAGIC)
        self._streams: dict[int, KnownStream] = {}
        self._skipped: list[tuple[int, int]] = []
        self._orphans: dict[int, int] = {}
        self._tail = 0
        self._done = False

    def _unreadable(self, error: OSError) -> RecordingError:
        return RecordingError(
            f"{self._path} cannot be read ({error.strerror or error}); check the path, the disk "
            f"and that this user may read it."
        )

    def _walk(self, file: BinaryIO) -> Iterator[XdfChunk]:
        size = os.fstat(file.fileno()).st_size
        at = len(MAGIC)
        while at < size:
            try:
                tag, stop = head_of(file, at, size)
                chunk = self._content(file, tag, stop, size)
            except DamagedError:
                found = next_foothold(file, at, size)
                if found is None:
                    self._tail = size - at
                    break
                self._skip(at, found)
                at = found
                continue
            start, at = at, stop
            if chunk is not None:
                self._whole, self._chunk_at = stop, start
                yield chunk
        self._done = True

    def _skip(self, at: int, stop: int) -> None:
        if self._skipped and self._skipped[-1][1] == at:
            at, _ = self._skipped.pop()
        self._skipped.append((at, stop))
        for stream in self._streams.values():
            stream.last_s = np.nan  # how many rows were in between is not known

    def _content(self, file: BinaryIO, tag: Tag, stop: int, size: int) -> XdfChunk | None:
        """Read the chunk whose tag was just read; None if it belongs to no known stream."""
        if tag is Tag.FILE_HEADER:
            return FileHeader(xml=read_xml(file, stop))
        if tag is Tag.BOUNDARY:
            if file.read(len(BOUNDARY_UUID)) != BOUNDARY_UUID:
                raise DamagedError
            return Boundary()
        stream_id = int.from_bytes(file.read(4), "little")
        if tag is Tag.STREAM_HEADER:
            return self._header(stream_id, read_xml(file, stop))
        if stream_id not in self._streams:
            if stop < size and not begins(file, stop, size):
                raise DamagedError
            self._orphans[stream_id] = self._orphans.get(stream_id, 0) + 1
            return None
        stream = self._streams[stream_id]
        if tag is Tag.STREAM_FOOTER:
            footer = Footer(stream_id=stream_id, xml=read_xml(file, stop))
            stream.ended = True
            return footer
        if tag is Tag.CLOCK_OFFSET:
            collected_s, offset_s = struct.unpack("<dd", file.read(16))
            stream.tally.offsets += ((collected_s, offset_s),)
            return Offset(stream_id=stream_id, collected_s=collected_s, offset_s=offset_s)
        return _samples(file, stream_id, stream, stop)

    def _header(self, stream_id: int, xml: str) -> Header:
        try:
            tally = tally_of(xml)
        except RecordingError as error:
            raise DamagedError from error
        info = ElementTree.fromstring(xml)
        header = Header(
            stream_id=stream_id,
            name=info.findtext("name") or "",
            type=info.findtext("type") or "",
            source_id=info.findtext("source_id") or "",
            channel_count=tally.channel_count,
            channel_format=tally.channel_format,
            nominal_srate=_rate_hz(info.findtext("nominal_srate") or ""),
            xml=xml,
        )
        period_s = 1 / header.nominal_srate if header.nominal_srate else 0.0
        self._streams[stream_id] = KnownStream(tally, period_s, header.name)
        return header

    def _on_damage(self) -> Iterator[str]:
        for at, stop in self._skipped[:_TOLD]:
            yield f"{stop - at} bytes from byte {at} on are damaged and were skipped."
        rest = self._skipped[_TOLD:]
        if rest:
            n_bytes = sum(stop - at for at, stop in rest)
            yield f"{len(rest)} more damaged stretches, {n_bytes} bytes in all, were skipped."

    def _on_orphans(self) -> Iterator[str]:
        for stream_id, count in self._orphans.items():
            yield (
                f"{count} chunks of stream {stream_id} come without a readable description of "
                f"it and were left out."
            )

    def _on_end(self) -> Iterator[str]:
        if self._tail:
            yield (
                f"The last {self._tail} bytes hold no whole chunk and were left out: the "
                f"recording was cut off, or its end is damaged."
            )
        endless = [repr(one.name) for one in self._streams.values() if not one.ended]
        if self._done and endless:
            yield (
                f"No end was written for {', '.join(endless)}: the file was cut off, its writer "
                f"was stopped, or it is still writing."
            )


def _rate_hz(text: str) -> float:
    try:
        rate_hz = float(text)
    except ValueError:
        return 0.0
    return rate_hz if 0 < rate_hz < np.inf else 0.0


def _samples(
    file: BinaryIO, stream_id: int, stream: KnownStream, stop: int
) -> NumericSamples | TextSamples:
    n_rows = varlen(file)
    n_bytes = stop - file.tell()
    chunk: NumericSamples | TextSamples
    if stream.tally.channel_format in NUMBER_FORMATS:
        values, stamps_s = read_numbers(file, stream, n_rows, n_bytes)
        chunk = NumericSamples(stream_id=stream_id, values=values, stamps_s=stamps_s)
    else:
        texts, stamps_s = read_texts(file, stream, n_rows, n_bytes)
        chunk = TextSamples(stream_id=stream_id, texts=texts, stamps_s=stamps_s)
    if n_rows:
        stream.last_s = float(stamps_s[-1])
    stream.tally.add(stamps_s)
    return chunk
