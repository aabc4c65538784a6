"""What is known of each electrode, as one of four states and in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from ..runtime.quality import Quality

DOUBTFUL_SCORE = 0.5
"""Scores below are doubtful, as the signal check has it."""

IMPEDANCE_KOHM = (20.0, 50.0)
"""Good up to the first, bad from the second; usual for amplifiers of high input impedance."""

_MOST_NAMED = 4


class State(IntEnum):
    """Of an electrode; the larger, the worse."""

    UNKNOWN = 0
    GOOD = 1
    DOUBTFUL = 2
    BAD = 3


def _as_it_is(cause: str) -> str:
    return cause


@dataclass(frozen=True, slots=True, kw_only=True)
class MapWords:
    """What a map says, in one language.

    Parameters
    ----------
    good, doubtful, bad, unknown : str
        The states.
    left_out : str
        Of an electrode that the decoder does not look at.
    low : str
        Of an electrode that is not good, without a cause.
    impedance : str
        Of a high one; ``{kohm}`` stands for its value.
    marked : str
        Of an electrode that a person called bad.
    all_good : str
        When every electrode is.
    waiting : str
        While nothing is known.
    nothing : str
        Of a stream without electrodes.
    more : str
        Behind the first names of many; ``{n}`` stands for how many more.
    cause : callable
        Says a cause of `Quality.causes`.
    """

    good: str = "good"
    doubtful: str = "doubtful"
    bad: str = "bad"
    unknown: str = "not judged yet"
    left_out: str = "left out"
    low: str = "weak signal quality"
    impedance: str = "{kohm} kOhm"
    marked: str = "marked as bad by a person"
    all_good: str = "All electrodes are good."
    waiting: str = "No electrode was judged yet."
    nothing: str = "This stream has no electrodes."
    more: str = "and {n} more"
    cause: Callable[[str], str] = _as_it_is

    def of(self, state: State) -> str:
        """The word for a state."""
        return (self.unknown, self.good, self.doubtful, self.bad)[state]


class Electrodes:
    """Quality and impedance of the electrodes of a stream, the worse of the two deciding.

    Parameters
    ----------
    words : MapWords, optional
        English by default.
    limits_kohm : tuple of 2 float
        Good up to the first, bad from the second.
    """

    def __init__(
        self,
        words: MapWords | None = None,
        limits_kohm: tuple[float, float] = IMPEDANCE_KOHM,
    ) -> None:
        self.words = words or MapWords()
        self.limits_kohm = limits_kohm
        self.impedance: dict[str, float] = {}
        """Where it was measured, kOhm."""
        self._judged: dict[str, tuple[State, str, bool]] = {}
        self._marked: frozenset[str] = frozenset()

    def forget(self, marked: frozenset[str] = frozenset()) -> None:
        """Know nothing but which electrodes a person has called bad."""
        self._judged, self.impedance, self._marked = {}, {}, marked

    def take(self, quality: Quality) -> bool:
        """Learn how good they are.

        Parameters
        ----------
        quality : Quality
            Of any of them.

        Returns
        -------
        changed : bool
            Whether anything is to be drawn or said otherwise.
        """
        rows = zip(quality.channels, quality.scores, quality.causes, quality.usable, strict=True)
        judged = {name: (_state(score, ok), cause, bool(ok)) for name, score, cause, ok in rows}
        changed, self._judged = judged != self._judged, judged
        return changed

    def measure(self, impedance: Mapping[str, float | None] | None) -> None:
        """Learn impedances.

        Parameters
        ----------
        impedance : mapping of str to float or None
            Name -> kOhm, None where it was not measured; None altogether forgets them.
        """
        self.impedance = {
            name: float(kohm)
            for name, kohm in (impedance or {}).items()
            if kohm is not None and math.isfinite(kohm)
        }

    def state(self, name: str) -> State:
        """The worst that is known of one."""
        if name in self._marked:
            return State.BAD
        judged = self._judged.get(name, (State.UNKNOWN, "", True))[0]
        return max(judged, self._by_impedance(name))

    def why(self, name: str) -> str:
        """What is wrong with one; empty if nothing is."""
        state, cause, usable = self._judged.get(name, (State.UNKNOWN, "", True))
        parts = [self.words.marked] if name in self._marked else []
        parts += [self.words.cause(cause)] if cause else []
        parts += [self.words.low] if state > State.GOOD and not cause else []
        if self._by_impedance(name) > State.GOOD:
            parts.append(self.words.impedance.format(kohm=f"{self.impedance[name]:.0f}"))
        return ", ".join(parts + ([] if usable else [self.words.left_out]))

    def sentence(self, name: str) -> str:
        """One electrode in words: ``"Cz: bad, flat, left out"``."""
        said = ", ".join(part for part in (self.words.of(self.state(name)), self.why(name)) if part)
        if name in self.impedance and self._by_impedance(name) == State.GOOD:
            said += ", " + self.words.impedance.format(kohm=f"{self.impedance[name]:.0f}")
        return f"{name}: {said}"

    def counts(self, names: tuple[str, ...]) -> dict[State, int]:
        """How many are in each state, the states with none included."""
        found = dict.fromkeys(State, 0)
        for name in names:
            found[self.state(name)] += 1
        return found

    def summary(self, names: tuple[str, ...]) -> str:
        """What is wrong, with the names; or that nothing is."""
        if not names:
            return self.words.nothing
        worst = sorted(names, key=lambda name: -self.state(name))
        wrong = [name for name in worst if self.state(name) > State.GOOD]
        if not wrong:
            known = any(self.state(name) == State.GOOD for name in names)
            return self.words.all_good if known else self.words.waiting
        said = "; ".join(f"{name}: {self.why(name)}" for name in wrong[:_MOST_NAMED])
        more = len(wrong) - _MOST_NAMED
        return said + (f"; {self.words.more.format(n=more)}" if more > 0 else "")

    def _by_impedance(self, name: str) -> State:
        kohm = self.impedance.get(name)
        if kohm is None:
            return State.UNKNOWN
        good, bad = self.limits_kohm
        return State.GOOD if kohm <= good else State.BAD if kohm >= bad else State.DOUBTFUL


def _state(score: float, usable: bool) -> State:
    if not usable:
        return State.BAD
    if not math.isfinite(score):
        return State.UNKNOWN
    return State.DOUBTFUL if score < DOUBTFUL_SCORE else State.GOOD
