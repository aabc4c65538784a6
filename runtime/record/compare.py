"""Comparing a replay with what was recorded, field by field.

Every field of a turn and of an event has a declared tolerance; nothing else is left out than what
`IGNORED` names. A comparison also says whether there was anything to compare: a session without a
decoded window proves nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from ..messages import Event, EventKind, Message, Turn
from .entries import TurnEntry, read_entry, write_entry
from .exact import ExactReplay

TOLERANCES: Mapping[str, float] = {
    "decision.probabilities": 1e-9,
    "command.strength": 1e-9,
    "command.velocity": 1e-9,
    "asked.strength": 1e-9,
    "asked.velocity": 1e-9,
}
"""Largest absolute difference of a field; all others have to be equal."""

IGNORED: Mapping[str, str] = {
    "event overflow, event recorder": "what befell watchers, of which a replay has none",
    "event engine, event watchdog, event sent, event failed": "what befell the machine that ran it",
    "event learner": "what a learner did, of which a replay has none; its weights are compared",
    "event second_stage": "what befell another process, of which a replay asks nothing",
    "event stopped": "what a person did; the guard's own event is compared",
    "quality": "told to people; what follows from it stands in events and decisions",
    "turn.embedding": "counted, not judged: another processor may round the last bit otherwise",
}
"""What is not compared, and why."""

_OF_THE_MACHINE = (
    EventKind.OVERFLOW, EventKind.RECORDER, EventKind.ENGINE, EventKind.WATCHDOG,
    EventKind.SENT, EventKind.STOPPED, EventKind.FAILED, EventKind.LEARNER,
    EventKind.SECOND_STAGE,
)  # fmt: skip

_Kept = TypeVar("_Kept", TurnEntry, Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first place at which a replay was not the recorded run.

    Parameters
    ----------
    place : str
        For example ``"turn 17 (samples 1000 to 1500)"``.
    field : str
        Which field of it.
    recorded, replayed : str
        What stood there.
    """

    place: str
    field: str
    recorded: str
    replayed: str

    def sentence(self) -> str:
        """The difference in words."""
        return (
            f"{self.place}: {self.field} was {self.recorded} in the recording and is "
            f"{self.replayed} in the replay."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a comparison found.

    Parameters
    ----------
    first : Difference, optional
        None if there is none.
    n_turns, n_events : int
        How many were compared.
    n_equal : int
        Turns without a difference.
    n_decoded, n_decided, n_commanded : int
        Windows that were decoded, decisions for a class, commands that were not neutral: proof
        that the session was engaged.
    n_bit_equal : int
        Embeddings equal to the last bit.
    largest : mapping of str to float
        Largest difference of each field that has a tolerance.
    unfinished : int
        Recorded turns that could not be replayed, because the loop was killed in mid-pass.
    """

    first: Difference | None
    n_turns: int
    n_events: int
    n_equal: int
    n_decoded: int
    n_decided: int
    n_commanded: int
    n_bit_equal: int
    largest: Mapping[str, float] = field(default_factory=dict)
    unfinished: int = 0

    @property
    def engaged(self) -> bool:
        """Whether anything was decoded at all."""
        return self.n_decoded > 0

    @property
    def ok(self) -> bool:
        """Whether the replay is the recorded run, and the recorded run did something."""
        return self.first is None and self.engaged

    def sentence(self) -> str:
        """The result in words."""
        if self.first is not None:
            return f"The replay differs. {self.first.sentence()}"
        if not self.engaged:
            return "Nothing differs, but no window was decoded: this proves nothing."
        return (
            f"The replay is the recorded run: {self.n_equal} of {self.n_turns} turns and "
            f"{self.n_events} events are equal; {self.n_decoded} windows were decoded, "
            f"{self.n_decided} decided for a class, {self.n_commanded} commands were not neutral; "
            f"{self.n_bit_equal} of {self.n_decoded} embeddings are equal to the last bit."
            f"{self._left()}"
        )

    def _left(self) -> str:
        if not self.unfinished:
            return ""
        return f" The loop broke off in mid-pass: {self.unfinished} turns of it cannot be replayed."


class Comparer:
    """A watcher of a replay that compares every message with the recorded one at once.

    Parameters
    ----------
    replay : ExactReplay
        Gives what was recorded.
    """

    lossless = True

    def __init__(self, replay: ExactReplay) -> None:
        self._replay = replay
        self._first: Difference | None = None
        self._n: Counter[str] = Counter()
        self._largest = dict.fromkeys(TOLERANCES, 0.0)

    def watch(self, message: Message) -> None:
        """Compare a turn or an event; anything else determines the run and is equal."""
        if isinstance(message, Turn):
            self._compare_turn(_as_kept(TurnEntry.of(message)))
        elif isinstance(message, Event) and message.kind not in _OF_THE_MACHINE:
            self._compare_event(_as_kept(message))

    def close(self) -> None:
        """What was recorded and has not come again is a difference, if the session ended well.

        After a session that was killed, it is what the loop did in its last, unfinished pass. A
        replay that stopped because it diverged has not come to the rest.
        """
        if self._replay.diverged:
            return
        while (left := self._next()) is not None:
            name = "turn" if isinstance(left, TurnEntry) else f"event {left.kind}"
            if not self._replay.broke_off:
                self._differs(self._place(left), name, "there", "missing")
            self._n["unfinished"] += isinstance(left, TurnEntry)

    def result(self) -> Comparison:
        """What was found so far."""
        n = self._n
        return Comparison(
            first=self._first,
            n_turns=n["turns"],
            n_events=n["events"],
            n_equal=n["equal"],
            n_decoded=n["decoded"],
            n_decided=n["decided"],
            n_commanded=n["commanded"],
            n_bit_equal=n["bits"],
            largest=dict(self._largest),
            unfinished=n["unfinished"],
        )

    def _next(self) -> TurnEntry | Event | None:
        while (entry := self._replay.next_result()) is not None:
            if not (isinstance(entry, Event) and entry.kind in _OF_THE_MACHINE):
                return entry
        return None

    def _compare_turn(self, turn: TurnEntry) -> None:
        recorded = self._next()
        if recorded is None and self._replay.broke_off:
            return  # the loop was killed before this turn had reached the recorder
        place = self._place(turn)
        self._n["turns"] += 1
        if not isinstance(recorded, TurnEntry):
            what = "nothing" if recorded is None else f"event {recorded.kind}"
            self._differs(place, "turn", what, "there")
            return
        self._count(recorded, turn)
        self._n["equal"] += self._compare(place, recorded, turn)

    def _count(self, recorded: TurnEntry, turn: TurnEntry) -> None:
        self._n["decoded"] += recorded.embedding != ""
        self._n["decided"] += recorded.decision.label is not None
        self._n["commanded"] += recorded.command.label is not None
        self._n["bits"] += recorded.embedding != "" and recorded.embedding == turn.embedding

    def _compare_event(self, event: Event) -> None:
        recorded = self._next()
        if recorded is None and self._replay.broke_off:
            return
        place = self._place(event)
        self._n["events"] += 1
        if not isinstance(recorded, Event):
            what = "nothing" if recorded is None else "a turn"
            self._differs(place, f"event {event.kind}", what, "there")
            return
        self._compare(place, recorded, event)

    def _compare(self, place: str, recorded: TurnEntry | Event, replayed: Any) -> bool:
        same = True
        pairs = zip(_flat(recorded), _flat(replayed), strict=False)
        for (name, before), (_, after) in pairs:
            if not self._same(name, before, after):
                same = False
                self._differs(place, name, str(before), str(after))
        return same

    def _same(self, name: str, before: Any, after: Any) -> bool:
        if name not in TOLERANCES:
            return _equal(before, after)
        if np.array_equal(before, after, equal_nan=True):
            return True
        one, other = np.atleast_1d(before), np.atleast_1d(after)
        if one.shape != other.shape or not np.array_equal(np.isnan(one), np.isnan(other)):
            return False
        with np.errstate(invalid="ignore"):  # infinity from infinity is NaN, and no difference
            far = np.abs(one - other)
        largest = float(np.nanmax(far)) if not np.isnan(far).all() else 0.0
        self._largest[name] = max(self._largest[name], largest)
        return largest <= TOLERANCES[name]

    def _place(self, entry: TurnEntry | Event) -> str:
        if isinstance(entry, Event):
            return f"Event {self._n['events'] + 1} (sample {entry.sample})"
        decision = entry.decision
        number = self._n["turns"] + 1
        return f"Turn {number} (samples {decision.first_sample} to {decision.stop_sample})"

    def _differs(self, place: str, name: str, recorded: str, replayed: str) -> None:
        if self._first is None:
            self._first = Difference(place=place, field=name, recorded=recorded, replayed=replayed)


def _flat(entry: TurnEntry | Event) -> Iterator[tuple[str, Any]]:
    """Every field that is compared, with its dotted name; the same names in the same order."""
    if isinstance(entry, Event):
        yield from ((name, getattr(entry, name)) for name in Event.__slots__)
        return
    for name in ("decision", "command", "times", "asked"):
        part = getattr(entry, name)
        yield name, "nothing" if part is None else "there"
        if part is None:
            continue
        yield from ((f"{name}.{key}", getattr(part, key)) for key in type(part).__slots__)


def _as_kept(entry: _Kept) -> _Kept:
    """An entry as a recording gives it back: numbers of numpy, for one, become plain ones."""
    kept = read_entry(write_entry(entry))
    assert isinstance(kept, type(entry))
    return kept


def _equal(before: Any, after: Any) -> bool:
    if type(before) is not type(after):
        return False
    if isinstance(before, int | str):
        return bool(before == after)
    # As text, numbers keep every bit, NaN equals NaN, and -0.0 is not 0.0.
    return repr(before) == repr(after)
