"""A recording of our own in any order: an index in memory, everything else stays in the file."""

from __future__ import annotations

from array import array
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import RecordingError
from ..messages import Chunk, Event, EventKind, StreamSpec
from ..stream_spec import sent_of
from .contents import Note
from .entries import ChunkEntry, Entry, read_entry
from .layout import SIGNAL, TAPE
from .link import FILE
from .reading import recording_file
from .xdf_read import NumericSamples, TextSamples, XdfChunk, XdfReader

_KEPT_BLOCKS = 64  # rows of a chunk stand in one block of the file, or in two
_STAMPED = ("chunk", "turn", "event", "guard", "quality", "promotion")
_NEUTRAL = '"label":null'


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something that stands out on the time line of a recording.

    Parameters
    ----------
    at_s : float
        Seconds after the beginning.
    kind : str
        ``"marker"``, ``"note"``, or the name of an `EventKind`.
    text : str
        For a person.
    """

    at_s: float
    kind: str
    text: str


class SeekableTape:
    """The entries of a recording by their number, chunks with their samples.

    Opening reads the file once, without understanding most of it; hours need no more memory than
    some bytes for each entry.

    Parameters
    ----------
    path : str or Path
        A session's folder, or its file.

    Attributes
    ----------
    times_s : ndarray, shape (n_entries,)
        When each entry was noted, seconds after the first that the loop made; never falling.
    kinds : list of str
        What each entry is: a name of `entries.TYPES`, or ``"guard"`` for an event of the guard.
    marks : tuple of Mark
        Markers, events and notes, in order.
    turns_s : ndarray, shape (n_turns,)
        When the decisions were.
    abstained : ndarray of bool, shape (n_turns,)
        Which of them were neutral.
    remarks : tuple of str
        What was noticed about the file.

    Raises
    ------
    RecordingError
        If there is no such recording, or it is not one of ours.
    """

    def __init__(self, path: str | Path) -> None:
        self.file = recording_file(path)
        self.name = self.file.parent.name if self.file.name == FILE else self.file.stem
        self._reader = XdfReader(self.file)
        self._places, self._parts = array("q"), array("i")
        self._blocks = _Blocks()
        index = _Index()
        for part in self._reader:
            if isinstance(part, NumericSamples) and part.stream_id == SIGNAL:
                self._blocks.add(
                    self._reader.chunk_at, len(part.values), whole=not self._reader.remarks
                )
            elif isinstance(part, TextSamples) and part.stream_id == TAPE:
                for number, line in enumerate(part.texts):
                    index.add(line, float(part.stamps_s[number]))
                    self._places.append(self._reader.chunk_at)
                    self._parts.append(number)
        self._spec = index.spec
        self.kinds = index.kinds
        self.times_s = index.times_s()
        self.marks = index.marks(self.times_s)
        self.turns_s = self.times_s[index.turns]
        self.abstained = np.array(index.abstained, bool)
        self.remarks = self._reader.remarks
        self._open: BinaryIO | None = None

    @property
    def spec(self) -> StreamSpec:
        """The stream that was recorded."""
        if self._spec is None:
            raise RecordingError(
                f"{self.file} holds no session of diverloop: it has no tape, or breaks off before "
                f"the stream was opened."
            )
        return self._spec

    def entry(self, number: int) -> Entry | Chunk:
        """Read an entry.

        Parameters
        ----------
        number : int
            Which, from 0.

        Returns
        -------
        entry : Entry or Chunk
            As `TapeReader` gives it, without streams beside the signal. A chunk whose samples
            stand behind a damaged part of the file has none.

        Raises
        ------
        RecordingError
            If the line cannot be read.
        """
        part = self._read_at(self._places[number])
        if not isinstance(part, TextSamples):
            raise RecordingError(f"{self.file} has changed since it was opened: open it again.")
        entry = read_entry(part.texts[self._parts[number]])
        return self._with_samples(entry) if isinstance(entry, ChunkEntry) else entry

    def close(self) -> None:
        """Let go of the file. Twice is harmless."""
        if self._open is not None:
            self._open.close()
        self._open = None

    def _read_at(self, place: int) -> XdfChunk | None:
        if self._open is None:
            self._open = self.file.open("rb")
        return self._reader.read_at(self._open, place)

    def _with_samples(self, entry: ChunkEntry) -> Chunk:
        sent = sent_of(self.spec)
        parts = [self._rows(start, stop) for start, stop in entry.rows if start < stop]
        if not parts or any(part is None for part in parts):
            return entry.chunk(np.empty((sent.n_rows, 0), np.float32))
        return entry.chunk(sent.to_microvolts(np.concatenate([p for p in parts if p is not None])))

    def _rows(self, start: int, stop: int) -> NDArray[np.generic] | None:
        found = []
        for place, first in self._blocks.between(start, stop):
            values = self._blocks.kept(place)
            if values is None:
                part = self._read_at(place)
                if not isinstance(part, NumericSamples):
                    return None
                values = self._blocks.keep(place, part.values)
            found.append(values[max(start - first, 0) : stop - first])
        return np.concatenate(found) if sum(map(len, found)) == stop - start else None


class _Blocks:
    """Where in the file the rows of the signal stand."""

    def __init__(self) -> None:
        self._firsts, self._places = array("q"), array("q")
        self._stop = 0
        self._kept: OrderedDict[int, NDArray[np.generic]] = OrderedDict()

    def add(self, place: int, n_rows: int, *, whole: bool) -> None:
        if whole:  # behind a damage nobody knows the numbers of rows any more
            self._firsts.append(self._stop)
            self._places.append(place)
            self._stop += n_rows

    def between(self, start: int, stop: int) -> list[tuple[int, int]]:
        firsts = np.frombuffer(self._firsts, np.int64) if self._firsts else np.empty(0, np.int64)
        begin = max(int(np.searchsorted(firsts, start, "right")) - 1, 0)
        end = int(np.searchsorted(firsts, stop, "left"))
        return [(self._places[n], self._firsts[n]) for n in range(begin, end)]

    def kept(self, place: int) -> NDArray[np.generic] | None:
        return self._kept.get(place)

    def keep(self, place: int, values: NDArray[np.generic]) -> NDArray[np.generic]:
        self._kept[place] = values
        if len(self._kept) > _KEPT_BLOCKS:
            self._kept.popitem(last=False)
        return values


class _Index:
    """What is learnt from the lines of the tape while they pass by once."""

    def __init__(self) -> None:
        self.spec: StreamSpec | None = None
        self.kinds: list[str] = []
        self.turns: list[int] = []
        self.abstained: list[bool] = []
        self._stamps_s = array("d")
        self._marks: list[tuple[int, str, str]] = []
        self._names: dict[str, str] = defaultdict(str)

    def add(self, line: str, stamp_s: float) -> None:
        kind = line[2 : line.find('"', 2)]
        number = len(self.kinds)
        self._stamps_s.append(stamp_s)
        # Hours of a tape are read in seconds if most of it is not parsed.
        if kind == "turn":
            self.turns.append(number)
            label = line.find('"label":')
            self.abstained.append(line.startswith(_NEUTRAL, label))
        elif kind == "chunk":
            if '"markers":[]' not in line:
                self._add_markers(number, line)
        elif kind in ("event", "note", "spec"):
            kind = self._add_parsed(number, kind, line)
        self.kinds.append(self._names.setdefault(kind, kind))

    def times_s(self) -> NDArray[np.float64]:
        """Only what the loop has stamped counts: a note may come from another clock."""
        live = np.array([kind in _STAMPED for kind in self.kinds], bool)
        if not live.any():
            return np.zeros(len(self.kinds))
        stamps_s = np.array(self._stamps_s, np.float64)
        since_s = np.where(live, stamps_s - stamps_s[live][0], 0.0)
        return np.asarray(np.maximum.accumulate(since_s), np.float64)

    def marks(self, times_s: NDArray[np.float64]) -> tuple[Mark, ...]:
        return tuple(Mark(at_s=float(times_s[n]), kind=k, text=text) for n, k, text in self._marks)

    def _add_markers(self, number: int, line: str) -> None:
        try:
            entry = read_entry(line)
        except RecordingError:
            return
        if isinstance(entry, ChunkEntry):
            self._marks += [(number, "marker", marker.label) for marker in entry.markers]

    def _add_parsed(self, number: int, kind: str, line: str) -> str:
        try:
            entry = read_entry(line)
        except RecordingError:
            return kind  # whoever asks for the entry is told
        if isinstance(entry, StreamSpec):
            self.spec = entry
        elif isinstance(entry, Note):
            self._marks.append((number, "note", f"{entry.who}: {entry.text}".removeprefix(": ")))
        elif isinstance(entry, Event):
            self._marks.append((number, str(entry.kind), entry.text))
            if entry.kind is EventKind.GUARD:
                return "guard"
        return kind
