"""A recorded session told as if it ran now: play, pause, any speed, any moment.

Nothing is computed again: what is told was decided then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConfigError, RecordingError
from ..runtime.messages import (
    Chunk,
    Embedding,
    Event,
    EventKind,
    Marker,
    Promotion,
    StreamSpec,
)
from ..runtime.quality import Quality
from ..runtime.record.entries import TurnEntry
from ..runtime.record.seeking import Mark, SeekableTape
from ..runtime.stages import Clock
from ..runtime.telemetry import Telegram

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""What a recording can be played at, as a multiple of real time."""

LEAD_S = 12.0
"""How much of the past is told again after a jump: as much as the pictures show."""

_STILL_TRUE = {"promotion": 300, "event": 300, "guard": 300, "quality": 1}
"""Of which kinds how many are told again after a jump, from before that: the newest."""

_MOST_LATE_S = 1.0  # of real time
_PIECE_S = 0.04  # a recording without a session is told in pieces as long as this
_ENCODED = Embedding(values=np.empty(0, np.float32))
_TOLD = ("chunk", "turn", "event", "guard", "quality", "promotion")


class Told(Protocol):
    """What a recording holds, by number: `SessionTape` and `SignalTape` are such."""

    name: str
    times_s: NDArray[np.float64]
    marks: tuple[Mark, ...]
    turns_s: NDArray[np.float64]
    abstained: NDArray[np.bool_]
    remarks: tuple[str, ...]

    @property
    def kinds(self) -> Sequence[str]:
        """Of each entry."""

    @property
    def spec(self) -> StreamSpec:
        """The stream that was recorded."""

    def message(self, number: int) -> Telegram | None:
        """What was told then; None if it is nothing for a window."""

    def close(self) -> None:
        """Let go of the file."""


class SignalOnly(Protocol):
    """A recording of signal and markers, as `hardware.recordings.Recording` is one."""

    @property
    def spec(self) -> StreamSpec:
        """The stream."""

    @property
    def samples(self) -> NDArray[np.float32]:
        """Microvolts, shape (n_channels, n_times)."""

    @property
    def markers(self) -> tuple[Marker, ...]:
        """In order of their sample."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader noticed."""

    def blocks(self, n_times: int) -> tuple[tuple[int, int], ...]:
        """Ranges of samples, none of which reaches into a gap."""


class SessionTape(SeekableTape):
    """A recorded session, as messages for a window."""

    def message(self, number: int) -> Telegram | None:
        """What was told then.

        Parameters
        ----------
        number : int
            Of the entry.

        Returns
        -------
        message : Telegram or None
            None if it is nothing for a window, such as a note.

        Raises
        ------
        RecordingError
            If it cannot be read.
        """
        if self.kinds[number] not in _TOLD:
            return None
        entry = self.entry(number)
        if isinstance(entry, TurnEntry):
            turn = entry.turn()
            # What was encoded is not kept, only that it was: without values, and not `None`.
            return replace(turn, embedding=_ENCODED) if entry.embedding else turn
        told = isinstance(entry, Chunk | Event | Quality | Promotion)
        return entry if told else None  # type: ignore[return-value]


class SignalTape:
    """A recording without a session: signal, markers and gaps.

    Parameters
    ----------
    recording : SignalOnly
        In memory.
    name : str
        For the header.
    """

    def __init__(self, recording: SignalOnly, name: str) -> None:
        self.name = name
        self.spec = recording.spec
        self.turns_s, self.abstained = np.empty(0), np.empty(0, bool)
        self.remarks = recording.notes
        self._samples, self._markers = recording.samples, recording.markers
        rate_hz = self.spec.rate_hz
        self._blocks = recording.blocks(max(1, round(_PIECE_S * rate_hz)))
        before = (0, *(stop for _, stop in self._blocks[:-1]))
        # A chunk behind a hole brings the event with it, and is followed by it, as in a session.
        self._entries: list[tuple[int, int]] = []  # block, samples lost or -1
        for number, ((first, _), ended) in enumerate(zip(self._blocks, before, strict=True)):
            self._entries.append((number, -1))
            if first > ended:
                self._entries.append((number, first - ended))
        stops = [self._blocks[number][1] for number, _ in self._entries]
        self.times_s = np.array(stops, np.float64) / rate_hz
        self.kinds = ["chunk" if lost < 0 else "event" for _, lost in self._entries]
        self._places = np.array([marker.sample for marker in self._markers], np.int64)
        self.marks = self._made_marks()

    def message(self, number: int) -> Telegram:
        """The chunk, or the gap before it."""
        block, lost = self._entries[number]
        first, stop = self._blocks[block]
        at_ns = round(stop / self.spec.rate_hz * 1e9)
        if lost >= 0:
            return self._gap(first, lost, at_ns)
        begin = 0 if not block else self._blocks[block - 1][1]
        low, high = np.searchsorted(self._places, (begin, stop))
        return Chunk(
            samples=self._samples[:, first:stop],
            first_sample=first,
            arrived_ns=at_ns,
            markers=self._markers[int(low) : int(high)],
        )

    def close(self) -> None:
        """Keep what is in memory."""

    def _gap(self, first: int, lost: int, at_ns: int = 0) -> Event:
        text = f"{lost} samples are missing before sample {first}."
        return Event(kind=EventKind.GAP, text=text, sample=first, count=lost, at_ns=at_ns)

    def _made_marks(self) -> tuple[Mark, ...]:
        rate_hz = self.spec.rate_hz
        marks = [Mark(at_s=m.sample / rate_hz, kind="marker", text=m.label) for m in self._markers]
        for block, lost in self._entries:
            if lost >= 0:
                first = self._blocks[block][0]
                text = self._gap(first, lost).text
                marks.append(Mark(at_s=first / rate_hz, kind="gap", text=text))
        return tuple(sorted(marks, key=lambda mark: mark.at_s))


@dataclass(slots=True)
class _Anchor:
    """Where the recording was when the clock said so."""

    position_s: float
    at_ns: int


class Recorded:
    """A `diverloop.gui.feed.Teller` that plays a recording. For one thread.

    Parameters
    ----------
    tape : Told
        What was recorded.
    clock : Clock
        Decides how fast it goes.
    """

    def __init__(self, tape: Told, clock: Clock) -> None:
        self.tape = tape
        self.lost = self.unreadable = 0
        self.speed = 1.0
        """Multiple of real time."""
        self.playing = False
        """Whether it moves."""
        self._clock = clock
        self._anchor = _Anchor(0.0, clock.now_ns())
        self._told = np.array([kind in _TOLD for kind in tape.kinds], bool)
        kinds = np.array(tape.kinds)
        self._places = {kind: np.flatnonzero(kinds == kind) for kind in _STILL_TRUE}
        self._spec = tape.spec
        self._waiting: deque[int] = deque()
        self._next = 0
        self._spec_due = True

    @property
    def length_s(self) -> float:
        """From the first entry to the last."""
        return float(self.tape.times_s[-1]) if len(self.tape.times_s) else 0.0

    @property
    def position_s(self) -> float:
        """Seconds after the beginning, what is told now."""
        moved_s = 0.0
        if self.playing:
            moved_s = (self._clock.now_ns() - self._anchor.at_ns) / 1e9 * self.speed
        return min(self._anchor.position_s + moved_s, self.length_s)

    @property
    def behind(self) -> bool:
        """Whether what a jump has to tell again is not all told yet."""
        return bool(self._waiting)

    def play(self, speed: float | None = None) -> None:
        """Go on from here, or from the beginning if it is at its end.

        Parameters
        ----------
        speed : float, optional
            Multiple of real time, above 0 and at most 100; as before if not given.

        Raises
        ------
        ConfigError
            If the speed is none.
        """
        if speed is not None and not 0 < speed <= 100:
            raise ConfigError(
                f"A recording plays at a speed above 0 and at most 100, got {speed}; 1 is real "
                f"time."
            )
        if self.position_s >= self.length_s:
            self.seek(0.0)
        self._anchor = _Anchor(self.position_s, self._clock.now_ns())
        self.speed = speed or self.speed
        self.playing = True

    def pause(self) -> None:
        """Stand still."""
        self._anchor = _Anchor(self.position_s, self._clock.now_ns())
        self.playing = False

    def seek(self, position_s: float) -> None:
        """Go somewhere. The stream, what still holds, and the last seconds are told first.

        Parameters
        ----------
        position_s : float
            Seconds after the beginning; kept within the recording.
        """
        position_s = min(max(position_s, 0.0), self.length_s)
        self._anchor = _Anchor(position_s, self._clock.now_ns())
        times_s = self.tape.times_s
        self._next = int(np.searchsorted(times_s, position_s, "right"))
        lead = int(np.searchsorted(times_s, position_s - LEAD_S, "left"))
        self._waiting = deque((*self._before(lead), *range(lead, self._next)))
        self._spec_due = True

    def poll(self, timeout_ms: int) -> Telegram | None:
        """The next message that is due; it never waits.

        Parameters
        ----------
        timeout_ms : int
            Not used.

        Returns
        -------
        message : Telegram or None
            None if none is due, or if one could not be read (see `unreadable`).
        """
        if self._spec_due:
            self._spec_due = False
            return self._spec
        while (number := self._due()) is not None:
            if not self._told[number]:
                continue
            try:
                message = self.tape.message(number)
            except RecordingError:
                self.unreadable += 1
                return None
            if message is not None:
                return message
        return None

    def close(self) -> None:
        """Let go of the file. Twice is harmless."""
        self.pause()
        self.tape.close()

    def _due(self) -> int | None:
        if self._waiting:
            return self._waiting.popleft()
        position_s = self._kept_up_with()
        if self._next < len(self._told) and self.tape.times_s[self._next] <= position_s:
            self._next += 1
            return self._next - 1
        if self.playing and position_s >= self.length_s:
            self.pause()
        return None

    def _kept_up_with(self) -> float:
        """The position, held back to what the window has time to take in: nothing is left out."""
        position_s = self.position_s
        if self.playing and self._next < len(self._told):
            most_s = self.tape.times_s[self._next] + _MOST_LATE_S * max(self.speed, 1.0)
            if position_s > most_s:
                position_s = float(most_s)
                self._anchor = _Anchor(position_s, self._clock.now_ns())
        return position_s

    def _before(self, lead: int) -> list[int]:
        """What was said before and still holds: weights, events, guard, quality."""
        found = []
        for kind, most in _STILL_TRUE.items():
            places = self._places[kind]
            stop = int(np.searchsorted(places, lead))
            found.append(places[max(stop - most, 0) : stop])
        return sorted(int(number) for number in np.concatenate(found))
