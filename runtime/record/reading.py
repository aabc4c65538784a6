"""Reading a recording of our own: entry by entry, or as a `Record`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..bundle import load_bundle
from ..card import Card
from ..errors import BundleError, RecordingError
from ..messages import Chunk, Event, Marker, Promotion, StreamSpec, Turn
from ..quality import Quality
from ..received import Sent
from ..stream_spec import sent_of
from .asides import FIRST_BESIDE, AsideRows
from .contents import Note, Record
from .entries import ChunkEntry, End, Entry, TurnEntry, read_entry
from .layout import SIGNAL, TAPE, TAPE_NAME
from .link import FILE
from .manifest import FORMAT_VERSION, Manifest
from .tape import Pass
from .xdf_read import Header, NumericSamples, TextSamples, XdfReader

BUNDLE = "model.bundle"
"""Name of the model's copy in the folder of a session."""

_KEPT_ROWS_S = 10.0  # a row is used within a fraction of a second of its arrival


def recording_file(path: str | Path) -> Path:
    """The XDF file of a recording.

    Parameters
    ----------
    path : str or Path
        A session's folder, or the file itself.

    Returns
    -------
    file : Path
        The file.

    Raises
    ------
    RecordingError
        If there is none.
    """
    path = Path(path)
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise RecordingError(
            f"There is no recording {file}: give a session's folder, or its {FILE}."
        )
    return file


def holds_session(path: str | Path) -> bool:
    """Whether a file is a recording of ours: an XDF file with a tape near its beginning.

    Parameters
    ----------
    path : str or Path
        Any file.

    Returns
    -------
    ours : bool
        False for everything else, files that cannot be read included.
    """
    if Path(path).suffix.lower() != ".xdf":
        return False
    try:
        parts = islice(XdfReader(path), 8)
        return any(isinstance(part, Header) and part.name == TAPE_NAME for part in parts)
    except RecordingError:
        return False


class TapeReader:
    """The entries of a recording in their order, chunks with their samples.

    Parameters
    ----------
    path : str or Path
        A session's folder, or the file itself.
    signal : bool
        False leaves samples out: chunks then come as `ChunkEntry`.
    """

    def __init__(self, path: str | Path, *, signal: bool = True) -> None:
        self.file = recording_file(path)
        self._signal = signal
        self._reader = XdfReader(self.file)
        self._rows = _Rows()
        self._sent: Sent | None = None
        self._tape: int | None = None

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was noticed about the file; complete when the iteration is."""
        return self._reader.remarks

    def __iter__(self) -> Iterator[Entry | Chunk]:
        """Give the entries from the beginning.

        Raises
        ------
        RecordingError
            If the file is not a recording of this program, or of a newer one.
        """
        self._rows, self._beside = _Rows(), AsideRows()
        for part in self._reader:
            if isinstance(part, Header) and (part.stream_id, part.name) == (TAPE, TAPE_NAME):
                self._tape = part.stream_id  # a sender may call its stream so, too
            elif isinstance(part, NumericSamples) and part.stream_id == SIGNAL:
                if self._signal:
                    self._rows.add(part.values, whole=not self._reader.remarks)
            elif isinstance(part, NumericSamples) and part.stream_id >= FIRST_BESIDE:
                if self._signal:
                    whole = not self._reader.remarks
                    self._beside.add(part.stream_id, part.values, part.stamps_s, whole=whole)
            elif isinstance(part, TextSamples) and part.stream_id == self._tape == TAPE:
                for line in part.texts:
                    yield self._entry(line)

    def _entry(self, line: str) -> Entry | Chunk:
        entry = read_entry(line)
        if isinstance(entry, Manifest):
            _refuse_newer(entry, self.file)
        if isinstance(entry, StreamSpec):
            self._sent = sent_of(entry)
            self._rows.most = max(1024, round(_KEPT_ROWS_S * entry.rate_hz))
        if isinstance(entry, ChunkEntry) and self._signal:
            if self._sent is None:
                raise RecordingError(
                    f"{self.file} has samples before it says of which stream they are: its "
                    f"beginning is damaged, and nothing in it can be replayed."
                )
            beside = tuple(self._beside.take(aside) for aside in entry.beside)
            if all(start == stop for start, stop in entry.rows):
                return entry.chunk(np.empty((self._sent.n_rows, 0), np.float32), beside)
            return entry.chunk(self._sent.to_microvolts(self._rows.take(entry.rows)), beside)
        return entry


class _Rows:
    """The newest rows of the signal, by their number in the file."""

    def __init__(self) -> None:
        self.most = 1024
        self._blocks: deque[tuple[int, NDArray[np.generic]]] = deque()
        self._stop = 0

    def add(self, values: NDArray[np.generic], *, whole: bool) -> None:
        if not whole:  # rows may be missing before these: nobody knows their numbers any more
            self._blocks.clear()
            return
        self._blocks.append((self._stop, values))
        self._stop += len(values)
        while len(self._blocks) > 1 and self._stop - self._blocks[1][0] > self.most:
            self._blocks.popleft()

    def take(self, ranges: tuple[tuple[int, int], ...]) -> NDArray[np.generic]:
        parts = [part for start, stop in ranges for part in self._between(start, stop)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _between(self, start: int, stop: int) -> list[NDArray[np.generic]]:
        found = []
        for first, values in reversed(self._blocks):  # what is asked for is among the newest
            if first + len(values) <= start:
                break
            if first < stop:
                found.append(values[max(start - first, 0) : stop - first])
        found.reverse()
        if sum(map(len, found)) != stop - start:
            raise RecordingError(
                f"The tape asks for rows {start} to {stop} of the signal, which are not there: a "
                f"part of the recording is damaged; what comes before it can still be exported."
            )
        return found


def open_record(path: str | Path) -> Record:
    """Read all but the signal of a recording.

    Parameters
    ----------
    path : str or Path
        A session's folder, or its file.

    Returns
    -------
    record : Record
        Its `Record.chunks` reads the signal when it is asked to.

    Raises
    ------
    RecordingError
        If there is no such recording, or it holds no signal.
    """
    reader = TapeReader(path, signal=False)
    found = _Found()
    for entry in reader:
        found.add(entry)
    if found.spec is None:
        raise RecordingError(
            f"{reader.file} holds no session of diverloop: it has no tape, or breaks off before "
            f"the stream was opened."
        )
    file = reader.file
    return Record(
        path=file,
        spec=found.spec,
        n_times=found.n_times,
        chunks=lambda: _chunks(file),
        manifest=found.manifest,
        card=_card(file.parent / BUNDLE),
        markers=tuple(sorted(found.markers, key=lambda marker: marker.sample)),
        turns=tuple(found.turns),
        events=tuple(found.events),
        qualities=tuple(found.qualities),
        notes=tuple(found.notes),
        start_lsl_s=found.start_lsl_s,
        start_ns=found.start_ns,
        remarks=(*reader.remarks, *found.remarks),
    )


class _Found:
    def __init__(self) -> None:
        self.manifest: Manifest | None = None
        self.spec: StreamSpec | None = None
        self.n_times = 0
        self.markers: list[Marker] = []
        self.turns: list[Turn] = []
        self.events: list[Event] = []
        self.qualities: list[Quality] = []
        self.notes: list[Note] = []
        self.start_lsl_s = 0.0
        self.start_ns = 0
        self._end: End | None = None
        self._began = False

    @property
    def remarks(self) -> tuple[str, ...]:
        if self._end is None:
            return (
                "The recording breaks off: the recorder was stopped, or the power was cut; "
                "`diverloop repair` gives it an end.",
            )
        return () if self._end.orderly else (self._end.reason,)

    def add(self, entry: Entry | Chunk) -> None:
        match entry:
            case Manifest():
                self.manifest = entry
            case StreamSpec():
                self.spec = entry
            case ChunkEntry():
                self._add_chunk(entry)
            case TurnEntry():
                self.turns.append(entry.turn())
            case Event():
                self.events.append(entry)
            case Quality():
                self.qualities.append(entry)
            case Note():
                self.notes.append(entry)
            case End():
                self._end = entry
            case Pass() | Promotion() | Chunk():
                pass

    def _add_chunk(self, entry: ChunkEntry) -> None:
        self.markers += entry.markers
        if not entry.rows or self.spec is None:
            return
        stop = entry.first_sample + sum(b - a for a, b in entry.rows)
        self.n_times = max(self.n_times, stop)
        if not self._began:
            self._began = True
            self.start_ns = entry.arrived_ns - round(stop * 1e9 / self.spec.rate_hz)
            if np.isfinite(entry.lsl_corrected_s):
                self.start_lsl_s = entry.lsl_corrected_s - (stop - 1) / self.spec.rate_hz


def _chunks(file: Path) -> Iterator[Chunk]:
    for entry in TapeReader(file):
        if isinstance(entry, Chunk) and entry.samples.shape[1]:
            yield replace(entry, events=())


def _card(folder: Path) -> Card | None:
    try:
        return load_bundle(folder).card
    except BundleError:
        return None


def _refuse_newer(manifest: Manifest, file: Path) -> None:
    if manifest.format_version > FORMAT_VERSION:
        raise RecordingError(
            f"{file} has format {manifest.format_version}, this program reads up to "
            f"{FORMAT_VERSION}: use the diverloop that wrote it, or a newer one."
        )
