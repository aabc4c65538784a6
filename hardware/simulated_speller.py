"""What a simulated participant sees and attends at a speller, which stops when it has selected.

Same questions as `simulated_task.Timeline`, other answers: selections follow each other, each asks
for the next letter of a text, and one that is answered ends at once, as a real presentation would.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..runtime.messages import Marker
from ..runtime.paradigms.speller import END, SpellerPlan, label_of, timeline
from .simulated_task import REST, Trial, draw_trial, sample_at

_STREAM = 3  # keeps the draws of the presentation apart from those of the signal
_FIRST_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A marker, and when it is put into the stream."""

    at_s: float
    label: str


def items_of(text: str, items: Sequence[str]) -> list[str]:
    """Write a text with the items of a menu.

    Parameters
    ----------
    text : str
        For letters ``"BRAIN_2"``, for a menu of words ``"yes help no"``.
    items : sequence of str
        The menu.

    Returns
    -------
    wanted : list of str
        Items from left to right, the longest that fits first; what is no item is passed over.
    """
    longest_first, wanted, place = sorted(items, key=len, reverse=True), [], 0
    while place < len(text):
        found = next((one for one in longest_first if text.startswith(one, place)), "")
        wanted += [found] if found else []
        place += len(found) or 1
    return wanted


class SpellerTimeline:
    """Selections without end, drawn as far as somebody asks.

    Parameters
    ----------
    plan : SpellerPlan
        What is shown, and how it flashes.
    text : str
        What is spelled, over and over, see `items_of`.
    rate_hz : float
        Sampling rate, to place markers at samples.
    seed : int
        Same seed, same presentation.
    """

    def __init__(self, plan: SpellerPlan, text: str, rate_hz: float, seed: int) -> None:
        self._plan, self._rate_hz = plan, rate_hz
        self._wanted = items_of(text, plan.items)
        self._rng = np.random.default_rng([seed, _STREAM])
        self._shown: list[Shown] = []
        self._trials: list[Trial] = []
        self._spans: list[tuple[float, float, str]] = []  # begin, end, item
        self._next_s = _FIRST_S

    def between(self, start_s: float, stop_s: float) -> list[Trial]:
        """Flashes whose onset lies in [start_s, stop_s)."""
        self._extend(stop_s)
        low = bisect.bisect_left(self._trials, start_s, key=lambda trial: trial.cue_s)
        high = bisect.bisect_left(self._trials, stop_s, key=lambda trial: trial.cue_s)
        return self._trials[low:high]

    def intended_at(self, time_s: float) -> str:
        """Item that is attended at a moment; ``"rest"`` between selections."""
        span = self._span_at(time_s)
        return REST if span is None else span[2]

    def busy_at(self, time_s: float) -> bool:
        """Whether a selection asks something of the participant at a moment."""
        return self._span_at(time_s) is not None

    def markers(self, first: int, stop: int) -> list[Marker]:
        """What was shown at samples in [first, stop), without LSL times."""
        self._extend(stop / self._rate_hz)
        early_s, late_s = (first - 1) / self._rate_hz, stop / self._rate_hz
        low = bisect.bisect_left(self._shown, early_s, key=lambda one: one.at_s)
        high = bisect.bisect_left(self._shown, late_s, key=lambda one: one.at_s)
        near = self._shown[low:high]
        placed = [
            Marker(label=one.label, sample=sample_at(one.at_s, self._rate_hz)) for one in near
        ]
        return [marker for marker in placed if first <= marker.sample < stop]

    def select(self, at_s: float) -> None:
        """End the selection that runs at a moment: something was selected.

        Parameters
        ----------
        at_s : float
            Stream time from which nothing flashes any more; later than all that has been asked
            for.
        """
        span = self._span_at(at_s)
        if span is None:
            return
        self._shown = [one for one in self._shown if one.at_s < at_s]
        self._trials = [one for one in self._trials if one.cue_s < at_s]
        self._shown.append(Shown(at_s=at_s, label=END))
        self._spans[-1] = (span[0], at_s, span[2])
        self._next_s = at_s + self._plan.pause_s

    def _span_at(self, time_s: float) -> tuple[float, float, str] | None:
        self._extend(time_s)
        for span in reversed(self._spans):
            if span[0] <= time_s:
                return span if time_s < span[1] else None
        return None

    def _extend(self, until_s: float) -> None:
        """Draw selections until the next one starts after a moment."""
        while self._next_s <= until_s:
            self._select_next()

    def _select_next(self) -> None:
        begin_s = self._next_s
        item = self._wanted[len(self._spans) % len(self._wanted)]
        labels = timeline(self._plan, self._rng, item)
        shown = [Shown(at_s=begin_s + at_s, label=label) for at_s, label in labels]
        self._trials += self._flashes(shown)
        self._shown += shown
        self._spans.append((begin_s, shown[-1].at_s, item))
        self._next_s = shown[-1].at_s + self._plan.pause_s

    def _flashes(self, shown: list[Shown]) -> Iterator[Trial]:
        for place, one in enumerate(shown):
            kind = label_of(self._plan, shown, place)
            if kind is not None:
                stop_s = one.at_s + self._plan.soa_s
                yield draw_trial(self._rng, kind, one.at_s, one.at_s, stop_s)
