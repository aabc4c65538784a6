"""What the decoder thought in the last two minutes, what was done about it, and what was true."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..runtime.messages import Chunk, Event, EventKind, Turn

FEW = 6
"""So many classes are all shown; of more, the leading ones and the others together."""

OTHERS = "others"
"""All classes that are not shown by name."""

NOTHING, NEUTRAL = -2, -1
"""In place of a class: nothing was decided there; the loop abstained."""

_KEPT = 8192  # turns: two minutes at 68 a second
_MOST_REASONS = 64
_CUE_S = 4.0  # a cue whose end no marker tells
_STRETCH = 2.5  # a turn stands for this many usual steps at most; beyond is nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A time in which one thing held.

    Parameters
    ----------
    start_s, stop_s : float
        Seconds of the stream.
    text : str
        The class, or the reason for none.
    place : int
        Of the class in the order of the decoder; `NEUTRAL` for none.
    """

    start_s: float
    stop_s: float
    text: str
    place: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Probabilities at points in time, ready to be drawn from below to above.

    Parameters
    ----------
    names : tuple of str
        What is drawn; `OTHERS` last, if there are any.
    places : tuple of int
        Of these classes in the order of the decoder; -1 for the others.
    shares : ndarray, shape (n_columns, n_names)
        Sums to 1, or NaN where nothing was decoded.
    decided : ndarray of int, shape (n_columns,)
        Place of the decided class, `NEUTRAL` or `NOTHING`.
    """

    names: tuple[str, ...]
    places: tuple[int, ...]
    shares: NDArray[np.float32]
    decided: NDArray[np.int16]


class ProbabilityHistory:
    """Remembers turns and cues; other classes, or time that runs backwards, begin anew."""

    def __init__(self) -> None:
        self.rate_hz = 1.0
        """Of the stream, samples a second."""
        self.turn: Turn | None = None
        """The newest."""
        self.forget()

    def forget(self) -> None:
        """Know nothing any more."""
        self.turn = None
        self.classes: tuple[str, ...] = ()
        self._begin(())
        self.text: deque[str] = deque(maxlen=200)
        self.corrected = ""
        self._cues: deque[tuple[int, str]] = deque(maxlen=500)

    @property
    def now_s(self) -> float:
        """End of the newest decision, seconds of the stream; 0 if there is none."""
        return float(self._stops[self._last]) / self.rate_hz if self._n else 0.0

    @property
    def is_text(self) -> bool:
        """Whether decisions are letters, phonemes or words rather than a few commands."""
        return len(self.classes) > FEW

    @property
    def leading(self) -> list[int]:
        """Places of the classes that are shown by name, where there are many."""
        return self._leading

    def take(self, turn: Turn) -> None:
        """Learn a decision.

        Parameters
        ----------
        turn : Turn
            The next.
        """
        decision = turn.decision
        if decision.classes != self.classes:
            self._begin(decision.classes)
        elif self._n and decision.stop_sample < self._stops[self._last]:
            self._begin(decision.classes)  # another session, or a view that looks back
        before = self.turn.decision.label if self.turn else None
        self.turn = turn
        if self.is_text and decision.label is not None and decision.label != before:
            self.text.append(decision.label)
        self._n += 1
        at = self._last
        self._stops[at] = decision.stop_sample
        self._probabilities[at] = decision.probabilities
        self._decided[at] = self._index.get(decision.label or "", NEUTRAL)
        self._reasons[at] = self._reason(decision.reason)
        self._done[at] = self._index.get(turn.command.label or "", NEUTRAL)
        self._selected[at] = turn.command.selected

    def take_markers(self, chunk: Chunk) -> bool:
        """Learn what was asked for.

        Parameters
        ----------
        chunk : Chunk
            Of the stream.

        Returns
        -------
        any : bool
            Whether a marker came.
        """
        for marker in chunk.markers:
            self._cues.append((marker.sample, marker.label))
        return bool(chunk.markers)

    def take_event(self, event: Event) -> None:
        """Learn what was read otherwise since."""
        if event.kind is EventKind.CORRECTED:
            self.corrected = event.text

    def columns(self, span_s: float, n_columns: int) -> Columns:
        """Probabilities over the newest time, at equal steps.

        Parameters
        ----------
        span_s : float
            How far to look back.
        n_columns : int
            How many points in time; the last one is now.

        Returns
        -------
        columns : Columns
            Each point shows the decision that was the newest then.
        """
        at = self._within(span_s)
        names, places = self._shown(at)
        edges_s = self.now_s - span_s + span_s * (np.arange(n_columns) + 1) / n_columns
        shares = np.full((n_columns, len(names)), np.nan, np.float32)
        decided = np.full(n_columns, NOTHING, np.int16)
        if len(at):
            stops_s = self._stops[at] / self.rate_hz
            which = np.searchsorted(stops_s, edges_s - 1e-9)
            there = which < len(at)
            which = np.minimum(which, len(at) - 1)
            there &= stops_s[which] - edges_s <= self._longest_s(stops_s)
            shares[there] = self._grouped(places, at[which[there]])
            decided[there] = self._decided[at[which[there]]]
        return Columns(names=names, places=places, shares=shares, decided=decided)

    def decisions(self, span_s: float) -> list[Stretch]:
        """Where one class was decided, or none for one reason, oldest first."""
        at = self._within(span_s)
        keys = np.where(self._decided[at] >= 0, self._decided[at], -2 - self._reasons[at])
        return list(self._stretches(at, keys, self._decided))

    def commands(self, span_s: float) -> list[Stretch]:
        """Where one class was commanded, or none, oldest first."""
        at = self._within(span_s)
        return list(self._stretches(at, self._done[at], self._done))

    def selections(self, span_s: float) -> list[tuple[float, str]]:
        """Seconds of the stream at which a class was selected, and which."""
        at = self._within(span_s)
        at = at[self._selected[at]]
        return [(self._stops[k] / self.rate_hz, self._name(int(self._done[k]))) for k in at]

    def cues(self, span_s: float) -> list[Stretch]:
        """What the markers say was true, as far as they name classes, oldest first."""
        found = []
        for n, (sample, label) in enumerate(self._cues):
            name = self._truth(label)
            start_s = sample / self.rate_hz
            if name is None or start_s + _CUE_S < self.now_s - span_s or start_s > self.now_s:
                continue
            later = self._cues[n + 1][0] if n + 1 < len(self._cues) else math.inf
            stop_s = min(later / self.rate_hz, start_s + _CUE_S, self.now_s)
            place = self._index[name]
            found.append(Stretch(start_s=start_s, stop_s=stop_s, text=name, place=place))
        return found

    def _begin(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self._index = {name: place for place, name in enumerate(classes)}
        self._n = 0
        self._stops = np.zeros(_KEPT, np.int64)
        self._probabilities = np.zeros((_KEPT, len(classes)), np.float32)
        self._decided, self._done = np.zeros(_KEPT, np.int16), np.zeros(_KEPT, np.int16)
        self._reasons, self._selected = np.zeros(_KEPT, np.int16), np.zeros(_KEPT, bool)
        self._said: list[str] = [""]
        self._leading: list[int] = []

    @property
    def _last(self) -> int:
        return (self._n - 1) % _KEPT

    def _reason(self, reason: str) -> int:
        if reason not in self._said:
            if len(self._said) >= _MOST_REASONS:
                reason = "other reasons"
            if reason not in self._said:
                self._said.append(reason)
        return self._said.index(reason)

    def _name(self, place: int) -> str:
        return self.classes[place] if place >= 0 else ""

    def _truth(self, label: str) -> str | None:
        for name in (label, label.rpartition(":")[2]):  # "say:yes" asks for yes
            if name in self._index:
                return name
        return None

    def _within(self, span_s: float) -> NDArray[np.intp]:
        """Where the turns of the newest time lie, the oldest first."""
        n = min(self._n, _KEPT)
        at = (self._n - n + np.arange(n)) % _KEPT
        from_sample = (self.now_s - span_s) * self.rate_hz
        return at[np.searchsorted(self._stops[at], from_sample) :]

    def _longest_s(self, stops_s: NDArray[np.float64]) -> float:
        steps = np.diff(stops_s[-200:])
        return float(_STRETCH * np.median(steps)) if len(steps) else math.inf

    def _shown(self, at: NDArray[np.intp]) -> tuple[tuple[str, ...], tuple[int, ...]]:
        if not self.is_text:
            return self.classes, tuple(range(len(self.classes)))
        kept = self._probabilities[at[-200:]]
        kept = kept[np.isfinite(kept).all(1)]
        if len(kept):
            self._lead(kept.mean(0))
        names = tuple(self.classes[place] for place in self._leading)
        return (*names, OTHERS), (*self._leading, -1)

    def _lead(self, means: NDArray[np.floating]) -> None:
        """Who leads keeps its place until another is well ahead: names must not jump about."""
        wanted = [int(place) for place in np.argsort(-means, kind="stable")[: FEW - 1]]
        for place in wanted:
            if place in self._leading:
                continue
            if len(self._leading) < FEW - 1:
                self._leading.append(place)
                continue
            last = min(reversed(self._leading), key=lambda known: means[known])
            if means[place] > 1.5 * means[last]:
                self._leading[self._leading.index(last)] = place

    def _grouped(self, places: tuple[int, ...], at: NDArray[np.intp]) -> NDArray[np.float32]:
        every = self._probabilities[at]
        shown = every[:, [place for place in places if place >= 0]]
        if shown.shape[1] == len(places):
            return shown
        rest = np.maximum(every.sum(1) - shown.sum(1), 0.0)
        return np.column_stack([shown, rest]).astype(np.float32)

    def _stretches(
        self, at: NDArray[np.intp], keys: NDArray[np.integer], places: NDArray[np.int16]
    ) -> Iterator[Stretch]:
        if not len(at):
            return
        stops_s = self._stops[at] / self.rate_hz
        longest_s = self._longest_s(stops_s)
        step_s = longest_s / _STRETCH if math.isfinite(longest_s) else 0.0
        far = np.diff(stops_s) > longest_s
        first = np.concatenate([[0], np.flatnonzero((np.diff(keys) != 0) | far) + 1])
        last = np.append(first[1:] - 1, len(at) - 1)
        for begin, end in zip(first, last, strict=True):
            touches = begin > 0 and stops_s[begin] - stops_s[begin - 1] <= longest_s
            start_s = stops_s[begin - 1] if touches else stops_s[begin] - step_s
            place = int(places[at[begin]])
            text = self._name(place) or self._said[self._reasons[at[begin]]]
            yield Stretch(
                start_s=float(start_s), stop_s=float(stops_s[end]), text=text, place=place
            )
