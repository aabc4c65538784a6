"""How the session went: guard, interruptions, weights, delays; read from turns and events."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...limits import State
from ...messages import Event, EventKind, Turn
from ..contents import Record

STAGES = ("wait", "condition", "cut", "encode", "decide", "feedback", "act", "loop", "total")
"""As in the latency report of the runtime: seven that follow each other, and two that sum up."""

# A guard event is written after the turn that first saw the change, so a turn may be this early.
_EVENT_LAG_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of the session in which something held.

    Parameters
    ----------
    start_s, stop_s : float
        Seconds since the first sample.
    what : str
        What held.
    """

    start_s: float
    stop_s: float
    what: str


class Course:
    """What happened when, in seconds since the first sample.

    Parameters
    ----------
    record : Record
        The session.
    lost : tuple of (int, int)
        Stream indices that never came, stop exclusive.
    """

    def __init__(self, record: Record, lost: tuple[tuple[int, int], ...]) -> None:
        self._record = record
        self._rate_hz = record.spec.rate_hz
        self.lost = lost
        self.duration_s = record.duration_s

    def second_of(self, at_ns: int) -> float:
        """Where a moment of the loop's clock lies."""
        return (at_ns - self._record.start_ns) / 1e9

    def when(self, event: Event) -> float:
        """Where an event lies; by its sample if it has one, at the start if it has no place."""
        if event.sample >= 0:
            return event.sample / self._rate_hz
        return self.second_of(event.at_ns) if event.at_ns else 0.0

    def turn_s(self, turn: Turn) -> float:
        """Where a decision lies."""
        stop = turn.decision.stop_sample
        return stop / self._rate_hz if stop >= 0 else self.second_of(turn.times.acted_ns)

    @cached_property
    def turns_s(self) -> NDArray[np.float64]:
        """Where every decision lies, shape (n_turns,)."""
        return np.array([self.turn_s(turn) for turn in self._record.turns], np.float64)

    @cached_property
    def guard(self) -> tuple[Span, ...]:
        """States of the guard, in order; empty if nothing tells."""
        changes = [
            (self.when(event), last_state(event.text))
            for event in self._record.events
            if _is_guard(event)
        ]
        ends = [*(start_s for start_s, _ in changes[1:]), self.duration_s][: len(changes)]
        return tuple(
            Span(start_s=start_s, stop_s=max(stop_s, start_s), what=state)
            for (start_s, state), stop_s in zip(changes, ends, strict=True)
        )

    @cached_property
    def halts(self) -> tuple[tuple[int, Span], ...]:
        """Stops by the research guard: place of the suspicion among the events, and the stop."""
        found, suspected, n_states = [], -1, 0
        for place, event in enumerate(self._record.events):
            if event.kind is EventKind.SEIZURE and suspected < 0:
                suspected = place
            if not _is_guard(event):
                continue
            span = self.guard[n_states]
            n_states += 1
            if span.what == State.STOPPED and suspected >= 0:
                found.append((suspected, span))
            suspected = -1
        return tuple(found)

    @property
    def stops_s(self) -> tuple[float, ...]:
        """When a person pressed the emergency stop."""
        halts = [span for _, span in self.halts]
        return tuple(
            span.start_s for span in self.guard if span.what == State.STOPPED and span not in halts
        )

    @property
    def armed_s(self) -> float:
        """For how long commands could leave."""
        return sum(span.stop_s - span.start_s for span in self.guard if span.what == State.ARMED)

    def acted_on_loss(self) -> int:
        """Commands that rest on a window with lost samples in it; 0 is what must be."""
        decisions = [t.decision for t in self._record.turns if _acts(t)]
        if not decisions or not self.lost:
            return 0
        firsts = np.array([decision.first_sample for decision in decisions])
        stops = np.array([decision.stop_sample for decision in decisions])
        gaps = np.array(self.lost)
        # The last gap that begins before a window ends is the only one that can reach into it.
        last = np.searchsorted(gaps[:, 0], stops) - 1
        return int(((last >= 0) & (gaps[last, 1] > firsts)).sum())

    def acted_when_shut(self) -> int:
        """Commands that left while the guard was not armed; 0 is what must be.

        Judged by the loop's own clock, which dates both commands and events: a sample's place
        would be older than the moment by whatever was on its way.
        """
        told = [(e.at_ns, last_state(e.text)) for e in self._record.events if _is_guard(e)]
        acted = [turn.times.acted_ns for turn in self._record.turns if _acts(turn)]
        if not told or not acted:
            return 0
        starts = np.array([at_ns for at_ns, _ in told], np.int64)
        ends = np.append(starts[1:], np.iinfo(np.int64).max) - round(_EVENT_LAG_S * 1e9)
        place = np.searchsorted(starts, np.array(acted, np.int64)) - 1
        shut = np.array([state != State.ARMED for _, state in told])
        return int(((place >= 0) & shut[place] & (acted < ends[place])).sum())

    @cached_property
    def speeds(self) -> NDArray[np.float64]:
        """Share of full speed at which the output moved, turn by turn; empty if it cannot move."""
        turns = self._record.turns
        if not any(turn.command.velocity for turn in turns):
            return np.zeros(0)
        return np.array([math.hypot(*turn.command.velocity) for turn in turns], np.float64)

    @cached_property
    def weights(self) -> tuple[Span, ...]:
        """Which generation of weights decided when."""
        turns = self._record.turns
        epochs = np.array([turn.decision.epoch for turn in turns], int)
        edges = np.flatnonzero(np.diff(epochs, prepend=-1))
        stops = [*edges[1:].tolist(), len(epochs)][: len(edges)]
        return tuple(
            Span(
                start_s=float(self.turns_s[first]),
                stop_s=float(self.turns_s[stop]) if stop < len(turns) else self.duration_s,
                what=str(epochs[first]),
            )
            for first, stop in zip(edges.tolist(), stops, strict=True)
        )

    @cached_property
    def _decoded(self) -> tuple[Turn, ...]:
        turns = self._record.turns
        return tuple(turn for turn in turns if np.isfinite(turn.decision.probabilities).all())

    @property
    def decoded_s(self) -> NDArray[np.float64]:
        """Where every decoded window lies, in the order of `delays_ms`."""
        return np.array([self.turn_s(turn) for turn in self._decoded], np.float64)

    @cached_property
    def delays_ms(self) -> Mapping[str, NDArray[np.float64]]:
        """Milliseconds of every decoded window, by stage; refused windows would flatter them."""
        times = [turn.times for turn in self._decoded]
        marks = np.array(
            [
                (
                    t.due_ns, t.arrived_ns, t.conditioned_ns, t.cut_ns, t.encoded_ns, t.decided_ns,
                    t.fed_back_ns, t.acted_ns,
                )
                for t in times
            ],
            np.int64,
        ).reshape(-1, 8)  # fmt: skip
        rows = [*np.diff(marks, axis=1).T, marks[:, 7] - marks[:, 1], marks[:, 7] - marks[:, 0]]
        return {name: row / 1e6 for name, row in zip(STAGES, rows, strict=True)}

    @property
    def deadline_ms(self) -> float:
        """What the session allowed from the last sample to the act; NaN where unknown."""
        given_s, card = self._setting("loop", "deadline_s"), self._record.card
        if given_s == 0 and card is not None:  # no time of its own: what suits the windows
            given_s = card.window.config(self._setting("model", "step_s")).patience_s
        return 1e3 * given_s if given_s else float("nan")

    def _setting(self, table: str, name: str) -> float | None:
        """A number of the session file; None where there is none."""
        manifest = self._record.manifest
        found = manifest.settings.get(table) if manifest is not None else None
        value = found.get(name) if isinstance(found, Mapping) else None
        return value if isinstance(value, int | float) else None

    @property
    def n_missed(self) -> int:
        """Decisions that came after their deadline."""
        return sum(event.kind is EventKind.MISSED for event in self._record.events)


def _acts(turn: Turn) -> bool:
    """Whether anything left that was not neutral, or that moved."""
    return turn.command.label is not None or any(turn.command.velocity)


def _is_guard(event: Event) -> bool:
    return event.kind is EventKind.GUARD and bool(last_state(event.text))


def last_state(text: str) -> str:
    """The state that a guard event speaks of last: where the guard is from then on."""
    words = text.lower().replace(".", " ").replace(",", " ").split()
    states = [word for word in words if word in set(State)]
    return states[-1] if states else ""
