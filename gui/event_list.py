"""Events, markers and selections of a session, the newest some thousands of them; no Qt."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from ..runtime.messages import Chunk, Event, EventKind, StreamSpec, Turn
from ..runtime.telemetry import Telegram

MOST = 4000
"""Rows that are kept; the oldest go."""

MARKER, SELECTED = "marker", "selected"
"""Kinds of rows that are no events."""

_K = EventKind
GROUPS: dict[str, frozenset[str]] = {
    "markers and selections": frozenset({MARKER, SELECTED}),
    "guard, stops and alarms": frozenset(
        {_K.GUARD, _K.STOPPED, _K.WATCHDOG, _K.BREAK, _K.SEIZURE, _K.SPIKE, _K.RIPPLE,
         _K.STIMULATION, _K.SENT}
    ),
    "signal": frozenset(
        {_K.GAP, _K.DUPLICATE, _K.REORDERED, _K.CLOCK_STEP, _K.JITTER, _K.RATE, _K.NOT_A_NUMBER,
         _K.SOURCE_LOST, _K.SOURCE_BACK, _K.IMPOSTOR, _K.STALE, _K.FRESH, _K.MASKED,
         _K.BAD_CHANNEL, _K.BLANKED, _K.CLEANED}
    ),
    "decoder": frozenset(
        {_K.PROMOTED, _K.ENGINE, _K.LISTENING, _K.CORRECTED, _K.SECOND_STAGE, _K.FAILED,
         _K.LEARNER}
    ),
    "timing and watchers": frozenset({_K.LATE, _K.MISSED, _K.OVERFLOW, _K.RECORDER}),
}  # fmt: skip
"""What can be looked at alone: every kind stands in one group."""

_ALARMS = frozenset({_K.STOPPED, _K.SEIZURE, _K.WATCHDOG, _K.FAILED, _K.IMPOSTOR, _K.SOURCE_LOST})
_FAULTS = frozenset(
    {_K.GAP, _K.STALE, _K.NOT_A_NUMBER, _K.LATE, _K.MISSED, _K.OVERFLOW, _K.BAD_CHANNEL, _K.RATE,
     _K.CLOCK_STEP, _K.SPIKE, _K.RIPPLE, _K.BREAK, _K.MASKED}
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line.

    Parameters
    ----------
    at_s : float
        Stream time, seconds after the first sample; NaN where it is not known.
    kind : str
        Name of an `EventKind`, `MARKER` or `SELECTED`.
    text : str
        One sentence.
    """

    at_s: float
    kind: str
    text: str

    @property
    def weight(self) -> int:
        """2 for what a person has to know at once, 1 for a fault, 0 for anything else."""
        return 2 if self.kind in _ALARMS else int(self.kind in _FAULTS)

    @property
    def sign(self) -> str:
        """The same for people who do not see colours."""
        return "◆" if self.kind in (MARKER, SELECTED) else "·!‼"[self.weight]


class EventList:
    """Rows in the order in which they came.

    Attributes
    ----------
    count : int
        Of all rows so far, those that are not kept any more included.
    """

    def __init__(self) -> None:
        self.count = 0
        self._rows: deque[Row] = deque(maxlen=MOST)
        self._rate_hz = 0.0
        self._stop = self._arrived_ns = 0

    def take(self, message: Telegram) -> None:
        """Learn from a message."""
        match message:
            case StreamSpec():
                self._rate_hz = message.rate_hz
            case Chunk():
                self._stop, self._arrived_ns = message.stop_sample, message.arrived_ns
                for marker in message.markers:
                    self._add(self._at_s(marker.sample, 0), MARKER, marker.label)
            case Event():
                self._add(self._at_s(message.sample, message.at_ns), message.kind, message.text)
            case Turn() if message.command.selected:
                text = f"{message.command.label} at {message.command.strength:.2f}"
                self._add(self._at_s(message.decision.stop_sample, 0), SELECTED, text)

    def newest(self, kinds: frozenset[str] | None = None) -> Iterator[Row]:
        """Rows from the newest to the oldest.

        Parameters
        ----------
        kinds : frozenset of str, optional
            Only of these; all if not given.
        """
        return (row for row in reversed(self._rows) if kinds is None or row.kind in kinds)

    def _add(self, at_s: float, kind: str, text: str) -> None:
        self._rows.append(Row(at_s=at_s, kind=kind, text=text))
        self.count += 1

    def _at_s(self, sample: int, at_ns: int) -> float:
        if not self._rate_hz:
            return float("nan")
        if sample >= 0:
            return sample / self._rate_hz
        if not self._arrived_ns:
            return float("nan")
        return max(self._stop / self._rate_hz + (at_ns - self._arrived_ns) / 1e9, 0.0)


def time_text(at_s: float) -> str:
    """Hours, minutes and tenths of seconds: ``"0:01:02.3"``; a dash where it is not known."""
    if at_s != at_s:
        return "-"
    tenths = round(at_s * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{tenths / 10:04.1f}"
