"""Streams beside the signal: each read by a thread, handed over with the signal's chunks.

Nothing waits for them. A stream that is not there, dies or comes back is told of, and looked for
again for as long as the session lasts. What they bring is handed over as it was received; where
it belongs in time is for `runtime.beside` to find.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..runtime.catalog import find
from ..runtime.errors import DiverloopError, SchemaMismatch
from ..runtime.messages import Aside, Chunk, Event, EventKind, StreamSpec
from ..runtime.received import Received
from ..runtime.session_config import SidePart
from ..runtime.shield import Kept
from ..runtime.stages import Clock, Source

_READ_S = 0.02  # how much is read at once: it is not late by more than this
_PATIENCE_NS = 100_000_000
_AGAIN_S = 1.0  # between two tries to open
_LOOK_S = 2.0  # a source that looks for its stream for longer cannot be stopped meanwhile
_MOST_WAITING = 20_000  # chunks; minutes, for a loop that is stuck
_CLOSE_LIMIT_S = 1.0
# What else a source tells is about its own count of samples, which nobody uses here.
_TOLD = (EventKind.SOURCE_LOST, EventKind.SOURCE_BACK, EventKind.IMPOSTOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A stream beside the signal.

    Parameters
    ----------
    role : str
        What the session calls it.
    make : callable
        Makes its source, anew at every try to open it.
    """

    role: str
    make: Callable[[], Source]


class SideStreams:
    """A source with others beside it.

    Parameters
    ----------
    primary : Source
        The signal. It alone decides when `read` returns.
    sides : sequence of Side
        The others, in the order of the session.
    clock : Clock
        The machine's monotonic clock.
    """

    def __init__(self, primary: Source, sides: Sequence[Side], clock: Clock) -> None:
        self._primary = primary
        self._clock = clock
        self._readers = tuple(_Reader(place, side, clock) for place, side in enumerate(sides))

    @property
    def spec(self) -> StreamSpec:
        """Of the signal."""
        return self._primary.spec

    @property
    def ended(self) -> bool:
        """Whether the signal has ended."""
        return self._primary.ended

    def open(self) -> None:
        """Open the signal, which has to be there, and begin to look for the others."""
        self._primary.open()
        for reader in self._readers:
            reader.start()

    def read(self, wanted: int, until_ns: int) -> Chunk | None:
        """Read the signal as `Source.read` does, and take along what the others have brought."""
        chunk = self._primary.read(wanted, until_ns)
        asides: list[Aside] = []
        events: list[Event] = []
        for reader in self._readers:
            reader.drain(asides, events)
        if not (asides or events):
            return chunk
        if chunk is None:
            nothing = np.zeros((self.spec.n_channels, 0), np.float32)
            chunk = Chunk(samples=nothing, first_sample=-1, arrived_ns=self._clock.now_ns())
        return dataclasses.replace(chunk, beside=tuple(asides), events=(*chunk.events, *events))

    def close(self) -> None:
        """Stop reading and close all of them. Calling it twice is harmless."""
        for reader in self._readers:
            reader.stop()
        self._primary.close()
        for reader in self._readers:
            reader.join()


class _Reader:
    """Reads one stream in a thread of its own, from finding it to the end of the session."""

    def __init__(self, place: int, side: Side, clock: Clock) -> None:
        self._place, self._side, self._clock = place, side, clock
        self._spec: StreamSpec | None = None
        self._n_rows = 0
        self._new = True  # the next rows are the first
        self._asides: deque[Aside] = deque()
        self._events: deque[Event] = deque()
        self._last_told = ""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"beside-{side.role}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def join(self) -> None:
        if self._thread.ident is not None:
            self._thread.join(_CLOSE_LIMIT_S)

    def drain(self, asides: list[Aside], events: list[Event]) -> None:
        """Hand over what has come. For the loop's thread."""
        while self._asides:
            asides.append(self._asides.popleft())
        while self._events:
            events.append(self._events.popleft())

    # ------------------------------------------------------------------- in the reading thread

    def _run(self) -> None:
        while not self._stopped.is_set():
            # A driver's fault must not end the stream for ever, whatever it raises.
            with Kept() as kept, closing(self._side.make()) as source:
                source.open()
                self._accept(source.spec)
                self._listen(source)
                return
            assert kept.error is not None
            self._complain(kept.error)
            self._stopped.wait(_AGAIN_S)

    def _complain(self, error: Exception) -> None:
        role = self._side.role
        if isinstance(error, DiverloopError):
            text = (
                f"The stream {role!r} beside the signal cannot be had: {error} The session goes on "
                f"without it, and keeps looking."
            )
            self._tell_once(EventKind.SOURCE_LOST, text)
        else:
            text = (
                f"The source of the stream {role!r} beside the signal raised "
                f"{type(error).__name__} ({error}); it is opened again."
            )
            self._tell_once(EventKind.FAILED, text)

    def _listen(self, source: Source) -> None:
        wanted = max(1, round(_READ_S * source.spec.rate_hz))
        while not (self._stopped.is_set() or source.ended):
            chunk = source.read(wanted, self._clock.now_ns() + _PATIENCE_NS)
            if chunk is not None:
                self._take(chunk, source.spec)

    def _take(self, chunk: Chunk, spec: StreamSpec) -> None:
        for event in chunk.events:
            if event.kind in _TOLD:
                self._tell(
                    event.kind, f"{event.text} (It is {self._side.role!r}, beside the signal.)"
                )
        for rows in rows_of(chunk, spec, self._n_rows):
            self._n_rows += len(rows.stamps_s)
            if len(self._asides) >= _MOST_WAITING:
                self._tell_drop()
                continue
            first, self._new = (spec if self._new else None), False
            self._asides.append(
                Aside(place=self._place, arrived_ns=chunk.arrived_ns, rows=rows, spec=first)
            )

    def _tell_drop(self) -> None:
        self._tell_once(
            EventKind.OVERFLOW,
            f"The loop does not fetch what the stream {self._side.role!r} brings: from here on it "
            f"is dropped until the loop does.",
        )

    def _accept(self, spec: StreamSpec) -> None:
        """Raise unless it is what it was when it was opened first."""
        known = self._spec
        if known is not None and (known.schema, _format(known)) != (spec.schema, _format(spec)):
            raise SchemaMismatch(
                f"It came back with {spec.n_channels} channels at {spec.rate_hz:g} Hz "
                f"({', '.join(spec.channel_names[:4])}, ...), not the {known.n_channels} at "
                f"{known.rate_hz:g} Hz that it had, or with other units; restore its settings, or "
                f"start a new session."
            )
        if self._last_told:
            self._last_told = ""
            text = f"The stream {self._side.role!r} beside the signal has been found."
            self._tell(EventKind.SOURCE_BACK, text)
        self._spec = spec

    def _tell_once(self, kind: EventKind, text: str) -> None:
        """Tell of a trouble, unless it is the one before once more."""
        if text != self._last_told:
            self._last_told = text
            self._tell(kind, text)

    def _tell(self, kind: EventKind, text: str) -> None:
        self._events.append(Event(kind=kind, text=text))


def rows_of(chunk: Chunk, spec: StreamSpec, n_rows: int) -> tuple[Received, ...]:
    """What came with a chunk, as rows with stamps.

    Parameters
    ----------
    chunk : Chunk
        Of any source.
    spec : StreamSpec
        Its stream.
    n_rows : int
        How many rows had come before.

    Returns
    -------
    rows : tuple of Received
        As they were received, where the source knows; else its samples, stamped by their index at
        the stream's nominal rate.
    """
    if spec.sent is not None:
        return chunk.received
    if not chunk.samples.shape[1]:
        return ()
    index = np.arange(chunk.first_sample, chunk.stop_sample, dtype=np.float64)
    return (
        Received(
            values=np.ascontiguousarray(chunk.samples.T, "<f4"),
            stamps_s=index / spec.rate_hz,
            first_row=n_rows,
        ),
    )


def sides_of(parts: Sequence[SidePart], clock: Clock) -> list[Side]:
    """Sources of the streams that a session names beside its signal.

    Parameters
    ----------
    parts : sequence of SidePart
        As the session has them.
    clock : Clock
        The session's.

    Returns
    -------
    sides : list of Side
        In their order; nothing is opened yet.
    """

    def maker(part: SidePart) -> Callable[[], Source]:
        cls = find("source", part.kind)
        return lambda: cls(beside_settings(part.settings), clock)

    return [Side(role=part.beside.role, make=maker(part)) for part in parts]


def beside_settings(settings: Any) -> Any:
    """A source's settings as they suit a stream that nothing waits for.

    Parameters
    ----------
    settings : object
        Of any source.

    Returns
    -------
    settings : object
        No markers, which belong to the signal, and no long search, which starts again anyway.
    """
    names = {field.name for field in dataclasses.fields(settings)}
    changed: dict[str, Any] = {}
    if "markers" in names:
        changed["markers"] = ""
    if "wait_s" in names:
        changed["wait_s"] = min(settings.wait_s, _LOOK_S)
    return dataclasses.replace(settings, **changed)


def _format(spec: StreamSpec) -> tuple[object, ...]:
    return (spec.sent.dtype, spec.sent.microvolts) if spec.sent else ()
