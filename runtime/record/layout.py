"""Which XDF stream holds what, and how a message becomes rows of them.

=====================  ======================================================================
stream                 holds
=====================  ======================================================================
the signal's own name  rows as they were received: the sender's numbers, stamps, description
marker streams' names  labels with the sender's stamps
diverloop-decisions    one row a decision: numbers for any program
diverloop-quality      once a second, a number from 0 to 1 for each electrode
diverloop-events       one sentence for each fault, guard change and promotion
diverloop-notes        what people wrote
diverloop-tape         every message as a line of JSON: what a replay needs, see `entries`
=====================  ======================================================================

Stamps of the first two are the sender's own, with clock offsets beside them; all others are this
machine's monotonic clock in seconds, which is LSL's clock, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RecordingError
from ..messages import Channel, Chunk, Event, Marker, Promotion, StreamSpec
from ..quality import Quality
from ..received import Received, Sent
from .contents import Note
from .entries import ChunkEntry, End, Entry, TurnEntry, read_entry, write_entry
from .frames import Kept
from .manifest import Manifest
from .tape import Pass
from .xdf_chunks import stream_xml
from .xdf_format import NUMBER_FORMATS, TEXT_FORMAT, tally_of
from .xdf_write import XdfWriter

SIGNAL, TAPE, DECISIONS, EVENTS, NOTES, QUALITY, FIRST_MARKERS = 1, 2, 3, 4, 5, 6, 10
"""Numbers of the streams in the file; marker streams have `FIRST_MARKERS` and what follows."""

TAPE_NAME = "diverloop-tape"
DECISIONS_NAME = "diverloop-decisions"
EVENTS_NAME = "diverloop-events"
NOTES_NAME = "diverloop-notes"
QUALITY_NAME = "diverloop-quality"

DECISION_COLUMNS = (
    "first_sample", "stop_sample", "lsl_time", "epoch", "decided", "commanded", "strength",
    "selected", "latency_ms",
)  # fmt: skip
"""Columns of the decision stream before the probabilities, which are named ``p:<class>``.

Where the feedback is a velocity, its axes follow, ``v:1`` to ``v:3``.
"""

_OFFSET_EVERY_S = 5.0
_KEPT_BLOCKS = 16  # a row is used within a fraction of a second of its arrival
_SAME_OFFSET_S = 1e-8  # two stamps of hours, subtracted, differ in their last bits


@dataclass(slots=True)
class Begun:
    """What is known of a file that another recorder began; nothing, for a new one.

    Parameters
    ----------
    streams : dict of int to str
        Numbers and names of its streams.
    spec : StreamSpec, optional
        What is being recorded.
    ended : bool
        Whether the last line of its tape is a good end.
    grid_s, row_shift
        As in `Kept`.
    """

    streams: dict[int, str] = field(default_factory=dict)
    spec: StreamSpec | None = None
    ended: bool = False
    grid_s: float = math.nan
    row_shift: int = 0

    def learn(self, lines: Sequence[str]) -> None:
        """Read lines of its tape, in order."""
        for line in lines:
            # Hours of a tape are read in seconds if most of it is not parsed.
            entry = read_entry(line) if line.startswith(('{"spec"', '{"end"')) else None
            self.ended = isinstance(entry, End) and entry.orderly
            if isinstance(entry, StreamSpec):
                self.spec = entry


class Layout:
    """Writes messages into a file.

    Parameters
    ----------
    writer : XdfWriter
        The file.
    insist : callable
        Called with each single act of writing; it makes it, again if need be.
    begun : Begun
        What is in the file already.
    """

    def __init__(
        self,
        writer: XdfWriter,
        insist: Callable[[Callable[[], None]], None],
        begun: Begun,
    ) -> None:
        self._writer = writer
        self._insist = insist
        self._announced = set(begun.streams)
        self._markers = {
            name: number for number, name in begun.streams.items() if number >= FIRST_MARKERS
        }
        self._spec = begun.spec
        self._grid_s = begun.grid_s
        tallies = writer.tallies
        n_rows = tallies[SIGNAL].count if SIGNAL in tallies else 0
        self._rows = _RowNumbers(begun.row_shift, n_rows)
        self._offsets = {n: tally.offsets[-1] for n, tally in tallies.items() if tally.offsets}
        self._now_s = tallies[TAPE].last_s if TAPE in tallies else 0.0
        for number, name, kind in (
            (TAPE, TAPE_NAME, "Tape"),
            (EVENTS, EVENTS_NAME, "Events"),
            (NOTES, NOTES_NAME, "Notes"),
        ):
            if number not in self._announced:
                self._announce_texts(number, name, kind)
                self._put_offset(number, self._now_s, 0.0)

    def kept(self) -> Kept:
        """What a later recorder has to be told, if all that was put is on the disk."""
        return Kept(bytes=self._writer.position, grid_s=self._grid_s, row_shift=self._rows.shift)

    def put(self, message: Manifest | StreamSpec | Chunk | TurnEntry | Event | Pass | Any) -> None:
        """Write one message.

        Parameters
        ----------
        message : object
            Of a kind in `frames.TYPES`.
        """
        match message:
            case Chunk():
                self._put_chunk(message)
                return
            case StreamSpec():
                self._announce_signal(message)
            case TurnEntry():
                self._put_decision(message)
            case Event():
                self._now_s = message.at_ns / 1e9
                self._put_text(EVENTS, f"{message.kind}: {message.text}")
            case Quality():
                self._put_quality(message)
            case Note():
                self._now_s = message.at_ns / 1e9
                self._put_text(NOTES, f"{message.who}: {message.text}".removeprefix(": "))
            case Manifest():
                self._now_s = message.started_ns / 1e9
            case Pass() | Promotion() | End():
                pass
        self._put_entry(message)

    # ---------------------------------------------------------------------------------- signal

    def _announce_signal(self, spec: StreamSpec) -> None:
        self._spec = spec
        if SIGNAL in self._announced:
            return
        xml = _description(spec, self._now_s)
        self._insist(lambda: self._writer.add_stream(SIGNAL, xml))
        self._announced.add(SIGNAL)

    def _put_chunk(self, chunk: Chunk) -> None:
        self._now_s = chunk.arrived_ns / 1e9
        for received in chunk.received:
            self._put_received(received)
        rows = self._rows.of_file(chunk.rows)
        if not (chunk.received or chunk.rows) and chunk.samples.shape[1]:
            rows = (self._put_samples(chunk),)
        for marker in chunk.markers:
            self._put_marker(marker)
        self._put_entry(ChunkEntry.of(chunk, rows))

    def _put_received(self, received: Received) -> None:
        if not len(received.stamps_s):
            return
        first = self._writer.tallies[SIGNAL].count
        self._write_rows(SIGNAL, received.values, received.stamps_s)
        self._rows.add(received.first_row, len(received.stamps_s), first)
        self._put_offset(SIGNAL, float(received.stamps_s[-1]), received.offset_s)

    def _put_samples(self, chunk: Chunk) -> tuple[int, int]:
        """Write samples that did not come as rows of a sender; give the numbers of their rows."""
        first = self._writer.tallies[SIGNAL].count
        values = np.ascontiguousarray(chunk.samples.T, "<f4")
        stamps_s = self._grid(chunk)
        self._write_rows(SIGNAL, values, stamps_s)
        offset_s = chunk.lsl_corrected_s - chunk.lsl_raw_s
        self._put_offset(SIGNAL, float(stamps_s[-1]), 0.0 if math.isnan(offset_s) else offset_s)
        return first, first + len(values)

    def _write_rows(
        self, stream: int, values: NDArray[np.generic], stamps_s: NDArray[np.float64]
    ) -> None:
        now_s = self._now_s
        self._insist(lambda: self._writer.write_numbers(stream, values, stamps_s, now_s=now_s))

    def _grid(self, chunk: Chunk) -> NDArray[np.float64]:
        """Stamps for samples that came with none of their own."""
        assert self._spec is not None
        period_s = 1 / self._spec.rate_hz
        n_times = chunk.samples.shape[1]
        if math.isfinite(chunk.lsl_raw_s):
            back = np.arange(1 - n_times, 1, dtype=np.float64) * period_s
            return back + chunk.lsl_raw_s
        if math.isnan(self._grid_s):
            self._grid_s = self._now_s - chunk.stop_sample * period_s
        index = np.arange(chunk.first_sample, chunk.stop_sample, dtype=np.float64) * period_s
        return index + self._grid_s

    # --------------------------------------------------------------------- markers and offsets

    def _put_marker(self, marker: Marker) -> None:
        name = marker.stream or f"{self._signal_name}-markers"
        if name not in self._markers:
            self._announce_texts(FIRST_MARKERS + len(self._markers), name, "Markers")
            self._markers[name] = FIRST_MARKERS + len(self._markers)
        stream, stamp_s = self._markers[name], marker.lsl_raw_s
        if math.isnan(stamp_s):
            stamp_s = self._grid_s + marker.sample / self._rate_hz
        if math.isnan(stamp_s):
            stamp_s = self._now_s
        self._insist(lambda: self._writer.write_texts(stream, [marker.label], [stamp_s]))
        offset_s = marker.lsl_corrected_s - marker.lsl_raw_s
        self._put_offset(stream, stamp_s, 0.0 if math.isnan(offset_s) else offset_s)

    def _put_offset(self, stream: int, stamp_s: float, offset_s: float) -> None:
        at_s, before_s = self._offsets.get(stream, (-math.inf, math.nan))
        if abs(offset_s - before_s) < _SAME_OFFSET_S and abs(stamp_s - at_s) < _OFFSET_EVERY_S:
            return
        self._offsets[stream] = (stamp_s, offset_s)
        self._insist(lambda: self._writer.write_offset(stream, stamp_s, offset_s))

    @property
    def _signal_name(self) -> str:
        return self._spec.name if self._spec else "signal"

    @property
    def _rate_hz(self) -> float:
        return self._spec.rate_hz if self._spec else math.nan

    # --------------------------------------------------------------------- decisions and texts

    def _put_decision(self, turn: TurnEntry) -> None:
        decision, command, times = turn.decision, turn.command, turn.times
        self._now_s = times.acted_ns / 1e9
        # A sink may answer with another number of axes than it was asked for; rows may not differ.
        n_axes = len((turn.asked or command).velocity)
        velocity = (*command.velocity, *(0.0,) * n_axes)[:n_axes]
        names = (
            *DECISION_COLUMNS,
            *(f"p:{label}" for label in decision.classes),
            *(f"v:{axis}" for axis in range(1, n_axes + 1)),
        )
        self._announce_numbers(DECISIONS, DECISIONS_NAME, "Decisions", names)
        place = {label: index for index, label in enumerate(decision.classes)}
        row = [
            decision.first_sample, decision.stop_sample, decision.lsl_corrected_s, decision.epoch,
            place.get(decision.label or "", -1), place.get(command.label or "", -1),
            command.strength, command.selected, (times.acted_ns - times.due_ns) / 1e6,
            *decision.probabilities, *velocity,
        ]  # fmt: skip
        self._write_rows(DECISIONS, np.array([row], "<f8"), np.array([self._now_s]))

    def _put_quality(self, quality: Quality) -> None:
        self._now_s = quality.at_ns / 1e9
        self._announce_numbers(QUALITY, QUALITY_NAME, "Quality", quality.channels)
        row = np.asarray(quality.scores, "<f8")[None]
        self._write_rows(QUALITY, row, np.array([self._now_s]))

    def _announce_numbers(self, number: int, name: str, kind: str, names: Sequence[str]) -> None:
        if number in self._announced:
            return
        xml = stream_xml(
            name=name,
            type=kind,
            channel_format="double64",
            created_at=self._now_s,
            channels=tuple(Channel(name=name, kind="misc") for name in names),
            unit="none",
            description={"notice": "Investigational, not a medical device."},
        )
        self._insist(lambda: self._writer.add_stream(number, xml))
        self._announced.add(number)
        self._put_offset(number, self._now_s, 0.0)

    def _announce_texts(self, number: int, name: str, kind: str) -> None:
        xml = stream_xml(name=name, type=kind, channel_format=TEXT_FORMAT, created_at=self._now_s)
        self._insist(lambda: self._writer.add_stream(number, xml))
        self._announced.add(number)

    def _put_entry(self, entry: Entry) -> None:
        self._put_text(TAPE, write_entry(entry))

    def _put_text(self, stream: int, text: str) -> None:
        now_s = self._now_s
        self._insist(lambda: self._writer.write_texts(stream, [text], [now_s]))


class _RowNumbers:
    """Which row of the file is which of a source: others, once the recorder missed some.

    Parameters
    ----------
    shift : int
        What to add to the source's numbers, as an earlier recorder left it.
    n_rows : int
        Rows in the file.
    """

    def __init__(self, shift: int, n_rows: int) -> None:
        self.shift = shift
        self._blocks: list[tuple[float, int, int]] = [(-math.inf, n_rows - shift, shift)]

    def add(self, source_row: int, n_rows: int, file_row: int) -> None:
        """Rows were written.

        Parameters
        ----------
        source_row : int
            The source's number of the first of them.
        n_rows : int
            How many.
        file_row : int
            The file's number of the first of them.
        """
        first, _, shift = self._blocks[-1]
        self.shift = file_row - source_row
        if self.shift == shift:
            self._blocks[-1] = first, source_row + n_rows, shift
        else:
            self._blocks.append((source_row, source_row + n_rows, self.shift))
            del self._blocks[:-_KEPT_BLOCKS]

    def of_file(self, rows: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        """The file's numbers of rows that a source numbered; none, if it lacks one of them."""
        found = [
            (max(start, first) + shift, min(stop, end) + shift)
            for start, stop in rows
            for first, end, shift in self._blocks
            if start < end and stop > first
        ]
        n_wanted = sum(stop - start for start, stop in rows)
        if sum(stop - start for start, stop in found) != n_wanted:
            return ()
        return tuple((int(start), int(stop)) for start, stop in found)


def _description(spec: StreamSpec, now_s: float) -> bytes | str:
    """The sender's own, to the letter, where rows can be written under it; else one of ours."""
    sent = spec.sent or Sent(dtype="<f4", microvolts=(1.0,) * spec.n_channels)
    written = np.dtype(sent.dtype)
    with suppress(RecordingError):
        tally = tally_of(sent.description)
        if (NUMBER_FORMATS.get(tally.channel_format), tally.channel_count) == (
            written,
            len(sent.microvolts),
        ):
            return sent.description
    return stream_xml(
        name=spec.name,
        type="EEG",
        channel_format=next(name for name, kind in NUMBER_FORMATS.items() if kind == written),
        nominal_srate=spec.rate_hz,
        source_id=spec.source_id,
        created_at=now_s,
        # Under a mapping the file holds what was sent, whose names only the sender knows.
        channels=tuple(Channel(name=f"sent {n + 1}") for n in range(len(sent.microvolts)))
        if sent.rows
        else spec.channels,
        unit="microvolts" if set(sent.microvolts) == {1.0} else "",
    )
