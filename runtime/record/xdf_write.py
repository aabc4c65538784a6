"""Write XDF: a file that only ever holds whole chunks.

They are appended so that a killed process can tear at most the last one, and a full disk none.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import RecordingError
from .xdf_chunks import (
    boundary,
    clock_offset,
    file_header,
    numeric_samples,
    stream_footer,
    stream_header,
    text_samples,
)
from .xdf_format import MAGIC, NUMBER_FORMATS, TEXT_FORMAT, Tally, tally_of

_BINARY = getattr(os, "O_BINARY", 0)


class XdfWriter:
    """A recording that grows by whole chunks; a new one, or with `resume` one that broke off.

    Every method that writes either appends all of what it was given or, on a full or broken
    disk, takes back what it had begun and raises; the same call can then be made again. Nothing
    is buffered in this process: what was written survives its death, and after `sync` also a
    power cut. To be used from one thread.

    Parameters
    ----------
    path : str or Path
        Must not exist yet: a recording is never overwritten.
    created_utc : str
        The wall clock for the file header, ISO 8601.
    boundary_every_s : float
        How often a boundary is written between samples; LabRecorder writes one every 10 s.

    Raises
    ------
    RecordingError
        If the file exists or cannot be written.
    """

    def __init__(
        self, path: str | Path, *, created_utc: str = "", boundary_every_s: float = 10.0
    ) -> None:
        self._begin(Path(path), boundary_every_s)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        self._file = self._opened(flags, "name a file that is not there yet, in a folder that is")
        with ExitStack() as undo:
            undo.callback(self._path.unlink)
            undo.callback(self.close)
            self._append(file_header(created_utc))
            _sync_folder(self._path.parent)
            undo.pop_all()

    def _begin(self, path: Path, boundary_every_s: float) -> None:
        if not boundary_every_s > 0:
            raise RecordingError(
                f"boundary_every_s must be above 0 s, got {boundary_every_s}; 10 is usual."
            )
        self._path = path
        self._boundary_every_s = boundary_every_s
        self._boundary_s: float | None = None
        self._tallies: dict[int, Tally] = {}
        self._position = 0
        self._torn = False  # bytes may lie behind the whole chunks
        self._finished = False

    @classmethod
    def resume(
        cls,
        path: str | Path,
        at: int,
        tallies: Mapping[int, Tally],
        *,
        boundary_every_s: float = 10.0,
    ) -> XdfWriter:
        """Go on with a file whose writer died: cut its torn end off and write a boundary.

        Parameters
        ----------
        path : str or Path
            The file.
        at : int
            Length of what is whole, in bytes: ``XdfReader.bytes_read`` at the end.
        tallies : mapping of int to Tally
            What it holds up to there, by stream: ``XdfReader.tallies`` at the end.
        boundary_every_s : float
            As for a new file.

        Returns
        -------
        writer : XdfWriter
            Ready for more rows of the streams in `tallies`, and for new streams.

        Raises
        ------
        RecordingError
            If it is not an XDF file of at least that length, or cannot be written.
        """
        writer = cls.__new__(cls)
        writer._begin(Path(path), boundary_every_s)
        writer._tallies = {number: replace(tally) for number, tally in tallies.items()}
        flags = os.O_RDWR
        writer._file = writer._opened(flags, "name a recording that this user may write")
        with ExitStack() as undo:
            undo.callback(writer.close)
            writer._cut(at)
            writer.write_boundary()
            undo.pop_all()
        return writer

    @property
    def position(self) -> int:
        """Length of the file in bytes, whole chunks only."""
        return self._position

    @property
    def tallies(self) -> dict[int, Tally]:
        """What the file holds of each stream: a copy."""
        return {number: replace(tally) for number, tally in self._tallies.items()}

    def add_stream(self, stream_id: int, xml: bytes | str) -> None:
        """Announce a stream.

        Parameters
        ----------
        stream_id : int
            Its number in this file.
        xml : bytes or str
            The sender's own LSL ``<info>``, written as it is, or one of `stream_xml`.

        Raises
        ------
        RecordingError
            If the number is taken, the description unusable, or the disk full.
        """
        if stream_id in self._tallies:
            raise RecordingError(
                f"{self._path} holds a stream {stream_id} already; give another number."
            )
        tally = tally_of(xml)
        self._append(stream_header(stream_id, xml))
        self._tallies[stream_id] = tally

    def write_numbers(
        self,
        stream_id: int,
        values: NDArray[np.generic],
        stamps_s: ArrayLike,
        *,
        now_s: float | None = None,
    ) -> None:
        """Append rows of numbers, as `numeric_samples` takes them; none at all is harmless.

        Parameters
        ----------
        stream_id : int
            A stream that was announced with the format and the width of `values`.
        values : ndarray, shape (n_rows, n_channels)
            The rows.
        stamps_s : array_like, shape (n_rows,)
            The sender's time stamps.
        now_s : float, optional
            The caller's time, any steady clock: a boundary goes before the rows when one is due.

        Raises
        ------
        RecordingError
            If the stream was announced otherwise, or the disk is full.
        """
        tally = self._known(stream_id)
        promised = (NUMBER_FORMATS.get(tally.channel_format), tally.channel_count)
        if values.ndim != 2 or (values.dtype, values.shape[1]) != promised:
            raise RecordingError(
                f"Stream {stream_id} of {self._path} was announced as {tally.channel_count} "
                f"channels in {tally.channel_format}, got shape {values.shape} of "
                f"{values.dtype.str}: announce it anew under another number."
            )
        stamps = np.asarray(stamps_s, np.float64)
        if len(values):
            self._append_samples(numeric_samples(stream_id, values, stamps), now_s)
            tally.add(stamps)

    def write_texts(
        self,
        stream_id: int,
        texts: Sequence[str],
        stamps_s: ArrayLike,
        *,
        now_s: float | None = None,
    ) -> None:
        """Append rows of one text each, as `text_samples` takes them; else like `write_numbers`."""
        tally = self._known(stream_id)
        if (tally.channel_format, tally.channel_count) != (TEXT_FORMAT, 1):
            raise RecordingError(
                f"Stream {stream_id} of {self._path} was announced as {tally.channel_count} "
                f"channels in {tally.channel_format}, got texts: announce one string channel."
            )
        stamps = np.asarray(stamps_s, np.float64)
        if len(texts):
            self._append_samples(text_samples(stream_id, texts, stamps), now_s)
            tally.add(stamps)

    def write_offset(self, stream_id: int, collected_s: float, offset_s: float) -> None:
        """Append a measured clock offset, see `clock_offset`; raises as `write_texts` does."""
        tally = self._known(stream_id)
        self._append(clock_offset(stream_id, collected_s, offset_s))
        tally.offsets += ((float(collected_s), float(offset_s)),)

    def write_boundary(self) -> None:
        """Append a boundary now; raises `RecordingError` on a full disk."""
        self._append(boundary())

    def sync(self) -> None:
        """Return when all that was written would survive a power cut; may take long.

        Raises
        ------
        RecordingError
            If the disk says that it could not.
        """
        try:
            getattr(os, "fdatasync", os.fsync)(self._file)
        except OSError as error:
            raise self._failed(error) from error

    def finish(self) -> None:
        """Write the footers of all streams and `sync`; raises as they do, once done does nothing.

        A file without footers is whole too, but says nothing of its end.
        """
        if not self._finished:
            footers = (
                stream_footer(
                    number,
                    first_s=tally.first_s,
                    last_s=tally.last_s,
                    count=tally.count,
                    offsets=tally.offsets,
                )
                for number, tally in self._tallies.items()
            )
            self._append(b"".join(footers))
            self._finished = True
        self.sync()

    def close(self) -> None:
        """Let go of the file, finished or not. Calling it twice is harmless."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _opened(self, flags: int, advice: str) -> int:
        try:
            return os.open(self._path, flags | _BINARY, 0o644)
        except OSError as error:
            raise RecordingError(
                f"{self._path} cannot be opened for recording ({error.strerror}): {advice}."
            ) from error

    def _cut(self, at: int) -> None:
        length = os.fstat(self._file).st_size
        if not len(MAGIC) <= at <= length or os.read(self._file, len(MAGIC)) != MAGIC:
            raise RecordingError(
                f"{self._path} ({length} bytes) cannot be resumed at byte {at}: it has to be an "
                f"XDF file of at least that length, so give what the reader says is whole."
            )
        self._position = at
        self._take_back()

    def _known(self, stream_id: int) -> Tally:
        if stream_id not in self._tallies:
            raise RecordingError(
                f"{self._path} has no stream {stream_id}, only {sorted(self._tallies)}; announce "
                f"it first."
            )
        return self._tallies[stream_id]

    def _append_samples(self, chunk: bytes | bytearray, now_s: float | None) -> None:
        if now_s is None:
            self._append(chunk)
            return
        since = self._boundary_s
        due = since is not None and not since <= now_s < since + self._boundary_every_s
        self._append(boundary() + chunk if due else chunk)
        self._boundary_s = now_s if due or since is None else since

    def _append(self, data: bytes | bytearray) -> None:
        """Write all of it, or leave the file as it was."""
        if self._torn:
            self._take_back()
        self._torn = True
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            self._take_back()
            raise self._failed(error) from error
        self._torn = False
        self._position += len(data)
        self._finished = False

    def _take_back(self) -> None:
        try:
            os.ftruncate(self._file, self._position)
            os.lseek(self._file, self._position, os.SEEK_SET)
        except OSError as error:
            raise self._failed(error) from error
        self._torn = False

    def _failed(self, error: OSError) -> RecordingError:
        return RecordingError(
            f"{self._path} could not be written ({error.strerror}); its first {self._position} "
            f"bytes are whole, so make room on the disk and write again."
        )


def _sync_folder(folder: Path) -> None:
    """Make a new file's name survive a power cut, where folders can be synced."""
    if os.name == "posix":
        number = os.open(folder, os.O_RDONLY)
        with suppress(OSError):  # a file system that cannot sync a folder keeps names by itself
            os.fsync(number)
        os.close(number)
