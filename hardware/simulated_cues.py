"""What a simulated participant intends who does what somebody asks for, when it is asked for.

Same questions as `simulated_task.Timeline`, other answers: nothing is drawn ahead. A cue is
followed 0.5 s after it was shown, until as long after the end was shown.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..runtime.messages import Marker
from .simulated_task import CUE_TO_INTENT_S, REST, Trial, draw_trial

_STREAM = 6  # keeps these draws apart from those of the other tasks and of the signal
_NO_END_S = 1e9


class CuedTimeline:
    """Trials that somebody else asks for.

    Parameters
    ----------
    seed : int
        Same seed and same cues, same trials.
    """

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng([seed, _STREAM])
        self._trials: list[Trial] = []

    def cue(self, label: str, at_s: float) -> None:
        """Show a cue, or that the task is over.

        Parameters
        ----------
        label : str
            What is asked for; empty for nothing any more.
        at_s : float
            Stream time at which it is shown, never before the one before.
        """
        reads_s = at_s + CUE_TO_INTENT_S
        if self._trials and self._trials[-1].stop_s > reads_s:
            self._trials[-1] = replace(self._trials[-1], stop_s=reads_s)
        if label:
            self._trials.append(draw_trial(self._rng, label, at_s, reads_s, _NO_END_S))

    def between(self, start_s: float, stop_s: float) -> list[Trial]:
        """Trials that are on, or cued, in [start_s, stop_s), however long they last."""
        return [each for each in self._trials if each.cue_s < stop_s and each.stop_s >= start_s]

    def intended_at(self, time_s: float) -> str:
        """Class intended at a moment; ``"rest"`` when there is none."""
        on = [each.label for each in self._trials if each.start_s <= time_s < each.stop_s]
        return on[-1] if on else REST

    def busy_at(self, time_s: float) -> bool:
        """Whether something is asked of the participant at a moment."""
        return any(each.start_s <= time_s < each.stop_s for each in self._trials)

    def markers(self, first: int, stop: int) -> list[Marker]:
        """None: who gives the cues puts them into the stream."""
        return []
