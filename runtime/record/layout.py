"""Which XDF stream holds what, and how a message becomes rows of them.

=====================  ======================================================================
stream                 holds
=====================  ======================================================================
the signal's own name  rows as they were received: the sender's numbers, stamps, description
marker streams' names  labels with the sender's stamps
diverloop-decisions    one row a decision: numbers for any program
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
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..messages import Channel, Chunk, Event, Marker, Promotion, StreamSpec
from ..received import Received
from .contents import Note
from .entries import ChunkEntry, End, Entry, TurnEntry, read_entry, write_entry
from .manifest import Manifest
from .tape import Pass
from .xdf_chunks import stream_xml
from .xdf_format import TEXT_FORMAT
from .xdf_write import XdfWriter

SIGNAL, TAPE, DECISIONS, EVENTS, NOTES, FIRST_MARKERS = 1, 2, 3, 4, 5, 10
"""Numbers of the streams in the file; marker streams have `FIRST_MARKERS` and what follows."""

TAPE_NAME = "diverloop-tape"
DECISIONS_NAME = "diverloop-decisions"
EVENTS_NAME = "diverloop-events"
NOTES_NAME = "diverloop-notes"

DECISION_COLUMNS = (
    "first_sample", "stop_sample", "lsl_time", "epoch", "decided", "commanded", "strength",
    "selected", "latency_ms",
)  # fmt: skip
"""Columns of the decision stream before the probabilities, which are named ``p:<class>``."""

_OFFSET_EVERY_S = 5.0


@dataclass(slots=True)
class Begun:
    """What is known of a file that another recorder began; nothing, for a new one.

    Parameters
    ----------
    streams : dict of str to int
        Names and numbers of its streams.
    spec : StreamSpec, optional
        What is being recorded.
    stop_sample : int
        Stream index one past the last sample in it.
    """

    streams: dict[str, int] = field(default_factory=dict)
    spec: StreamSpec | None = None
    stop_sample: int = 0

    def learn(self, lines: Sequence[str]) -> None:
        """Read lines of its tape, in order."""
        for line in lines:
            if not line.startswith(('{"spec"', '{"chunk"')):
                continue
            entry = read_entry(line)
            if isinstance(entry, StreamSpec):
                self.spec = entry
            elif isinstance(entry, ChunkEntry) and entry.rows:
                self.stop_sample = entry.first_sample + sum(b - a for a, b in entry.rows)


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
        self._streams = begun.streams
        self._spec = begun.spec
        self._grid_s = math.nan
        if begun.spec and begun.stop_sample:
            last_s = writer.tallies[SIGNAL].last_s
            self._grid_s = last_s - (begun.stop_sample - 1) / begun.spec.rate_hz
        self._offsets: dict[int, tuple[float, float]] = {}
        self._now_s = 0.0
        for number, name, kind in (
            (TAPE, TAPE_NAME, "Tape"),
            (EVENTS, EVENTS_NAME, "Events"),
            (NOTES, NOTES_NAME, "Notes"),
        ):
            self._announce_texts(number, name, kind)

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
        if spec.name in self._streams:
            return
        self._streams[spec.name] = SIGNAL
        xml: bytes | str = stream_xml(
            name=spec.name,
            type="EEG",
            channel_format="float32",
            nominal_srate=spec.rate_hz,
            source_id=spec.source_id,
            created_at=self._now_s,
            channels=spec.channels,
        )
        if spec.sent is not None and spec.sent.description:
            xml = spec.sent.description
        self._insist(lambda: self._writer.add_stream(SIGNAL, xml))

    def _put_chunk(self, chunk: Chunk) -> None:
        self._now_s = chunk.arrived_ns / 1e9
        count = self._writer.tallies[SIGNAL].count
        rows = chunk.rows
        for received in chunk.received:
            self._put_received(received)
        if not chunk.received and not rows and chunk.samples.shape[1]:
            values = np.ascontiguousarray(chunk.samples.T, "<f4")
            stamps_s = self._grid(chunk)
            self._write_rows(SIGNAL, values, stamps_s)
            behind_s = chunk.lsl_corrected_s - chunk.lsl_raw_s
            self._put_offset(SIGNAL, float(stamps_s[-1]), 0.0 if math.isnan(behind_s) else behind_s)
            rows = ((count, count + len(values)),)
        for marker in chunk.markers:
            self._put_marker(marker)
        self._put_entry(ChunkEntry.of(chunk, rows))

    def _put_received(self, received: Received) -> None:
        self._write_rows(SIGNAL, received.values, received.stamps_s)
        self._put_offset(SIGNAL, float(received.stamps_s[-1]), received.offset_s)

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
            back: NDArray[np.float64] = np.arange(1 - n_times, 1) * period_s
            return back + chunk.lsl_raw_s
        if math.isnan(self._grid_s):
            self._grid_s = self._now_s - chunk.stop_sample * period_s
        index: NDArray[np.float64] = np.arange(chunk.first_sample, chunk.stop_sample) * period_s
        return index + self._grid_s

    # --------------------------------------------------------------------- markers and offsets

    def _put_marker(self, marker: Marker) -> None:
        name = marker.stream or f"{self._signal_name}-markers"
        if name not in self._streams:
            number = max(FIRST_MARKERS - 1, *self._streams.values()) + 1
            self._announce_texts(number, name, "Markers")
        stream, stamp_s = self._streams[name], marker.lsl_raw_s
        if math.isnan(stamp_s):
            stamp_s = self._grid_s + marker.sample / self._rate_hz
        if math.isnan(stamp_s):
            stamp_s = self._now_s
        self._insist(lambda: self._writer.write_texts(stream, [marker.label], [stamp_s]))
        offset_s = marker.lsl_corrected_s - marker.lsl_raw_s
        if not math.isnan(offset_s):
            self._put_offset(stream, stamp_s, offset_s)

    def _put_offset(self, stream: int, stamp_s: float, offset_s: float) -> None:
        at_s, before_s = self._offsets.get(stream, (-math.inf, math.nan))
        if offset_s == before_s and abs(stamp_s - at_s) < _OFFSET_EVERY_S:
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
        names = (*DECISION_COLUMNS, *(f"p:{label}" for label in decision.classes))
        if DECISIONS_NAME not in self._streams:
            self._announce_decisions(names)
        place = {label: index for index, label in enumerate(decision.classes)}
        row = [
            decision.first_sample, decision.stop_sample, decision.lsl_corrected_s, decision.epoch,
            place.get(decision.label or "", -1), place.get(command.label or "", -1),
            command.strength, command.selected, (times.acted_ns - times.due_ns) / 1e6,
            *decision.probabilities,
        ]  # fmt: skip
        self._write_rows(DECISIONS, np.array([row], "<f8"), np.array([self._now_s]))

    def _announce_decisions(self, names: tuple[str, ...]) -> None:
        self._streams[DECISIONS_NAME] = DECISIONS
        xml = stream_xml(
            name=DECISIONS_NAME,
            type="Decisions",
            channel_format="double64",
            created_at=self._now_s,
            channels=tuple(Channel(name=name, kind="misc") for name in names),
            unit="none",
            description={"notice": "Investigational, not a medical device."},
        )
        self._insist(lambda: self._writer.add_stream(DECISIONS, xml))
        self._put_offset(DECISIONS, self._now_s, 0.0)

    def _announce_texts(self, number: int, name: str, kind: str) -> None:
        if name in self._streams:
            return
        self._streams[name] = number
        xml = stream_xml(name=name, type=kind, channel_format=TEXT_FORMAT, created_at=self._now_s)
        self._insist(lambda: self._writer.add_stream(number, xml))
        self._put_offset(number, self._now_s, 0.0)

    def _put_entry(self, entry: Entry) -> None:
        self._put_text(TAPE, write_entry(entry))

    def _put_text(self, stream: int, text: str) -> None:
        now_s = self._now_s
        self._insist(lambda: self._writer.write_texts(stream, [text], [now_s]))
