"""What a simulated participant is shown by a device that errs, and how the brain takes an error.

Same questions as `simulated_task.Timeline`, other answers: pieces of feedback follow each other,
each right or wrong, and nothing is intended. A wrong one evokes an error potential: at
fronto-central electrodes a positive peak at about 200 ms, a negative one at 250 ms, a positive one
at 320 ms and a broad negative one at 450 ms, a few microvolts each [1]_ [2]_ [3]_. A right one
evokes the same, much smaller.

References
----------
.. [1] Ferrez, Millán. Error-related EEG potentials generated during simulated brain-computer
   interaction. IEEE Transactions on Biomedical Engineering, 2008.
.. [2] Chavarriaga, Millán. Learning from EEG error-related potentials in noninvasive
   brain-computer interfaces. IEEE Transactions on Neural Systems and Rehabilitation Engineering,
   2010.
.. [3] Spüler, Niethammer. Error-related potentials during continuous feedback: using EEG to detect
   errors of different type and severity. Frontiers in Human Neuroscience, 2015.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConfigError
from ..runtime.messages import Marker
from .simulated_task import REST, Trial, draw_trial, sample_at

RIGHT, WRONG = "right", "wrong"
PREFIX = "feedback:"
RESPONSE_S = 0.8  # the response is over by then

PEAKS_S = (0.20, 0.25, 0.32, 0.45)
_WIDTHS_S = np.array((0.018, 0.022, 0.035, 0.075))
_PEAKS_UV = np.array((2.5, -4.0, 5.0, -3.0))
_RIGHT_SHARE = 0.25  # of the response to a wrong one
_PERSON_LATE_S = 0.02  # standard deviation between people

_STREAM = 4  # keeps these draws apart from those of the other tasks and of the signal
_PERSON_STREAM = 5
_FIRST_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackPlan:
    """How often the device shows something, and how often that is wrong.

    Parameters
    ----------
    wrong_share : float
        Probability that a piece of feedback is wrong, in [0, 1].
    gap_s : tuple of 2 float
        From one piece of feedback to the next, drawn evenly between these, at least 1 s.
    lapse_share : float
        Probability that the participant does not look, so that nothing is evoked, in [0, 1].
    habituation : float
        Share of the response that is lost over a session, in [0, 1].
    session_s : float
        After so long it is lost; what follows stays as it is then.

    Raises
    ------
    ConfigError
        If a value cannot be used.
    """

    wrong_share: float = 0.25
    gap_s: tuple[float, float] = (2.0, 3.0)
    lapse_share: float = 0.1
    habituation: float = 0.2
    session_s: float = 1800.0

    def __post_init__(self) -> None:
        for name in ("wrong_share", "lapse_share", "habituation"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(
                    f"feedback.{name} must be in [0, 1], got {getattr(self, name)!r}: it is a "
                    f"share."
                )
        low, high = self.gap_s
        if not 1 <= low <= high <= 60:
            raise ConfigError(
                f"feedback.gap_s must rise within [1, 60] s, got {self.gap_s}: a response takes "
                f"{RESPONSE_S:g} s."
            )
        if not 1 <= self.session_s < math.inf:
            raise ConfigError(
                f"feedback.session_s must be at least 1 s, got {self.session_s!r}: 1800 is usual."
            )

    def strength(self, time_s: float) -> float:
        """Share of the response that is left at a moment of the session."""
        return 1 - self.habituation * min(1.0, time_s / self.session_s)


class FeedbackTimeline:
    """Pieces of feedback without end, drawn as far as somebody asks.

    Parameters
    ----------
    plan : FeedbackPlan
        How often, and how often wrong.
    rate_hz : float
        Sampling rate, to place markers at samples.
    seed : int
        Same seed, same feedback.
    """

    def __init__(self, plan: FeedbackPlan, rate_hz: float, seed: int) -> None:
        self._plan, self._rate_hz = plan, rate_hz
        self._rng = np.random.default_rng([seed, _STREAM])
        self._trials: list[Trial] = []
        self._next_s = _FIRST_S

    def between(self, start_s: float, stop_s: float) -> list[Trial]:
        """Feedback that is shown in [start_s, stop_s); vigour 0 where it is overlooked."""
        while self._next_s <= stop_s:
            self._trials.append(self._draw(self._next_s))
            self._next_s += float(self._rng.uniform(*self._plan.gap_s))
        low = bisect.bisect_left(self._trials, start_s, key=lambda trial: trial.cue_s)
        high = bisect.bisect_left(self._trials, stop_s, key=lambda trial: trial.cue_s)
        return self._trials[low:high]

    def intended_at(self, time_s: float) -> str:
        """``"right"`` or ``"wrong"`` while it can be seen in the signal, ``"rest"`` otherwise."""
        near = self.between(time_s - RESPONSE_S, time_s + 1e-9)
        return near[-1].label if near and time_s < near[-1].stop_s else REST

    def busy_at(self, time_s: float) -> bool:
        """Whether there is something to be judged at a moment."""
        return self.intended_at(time_s) != REST

    def markers(self, first: int, stop: int) -> list[Marker]:
        """What was shown at samples in [first, stop), without LSL times."""
        near = self.between((first - 1) / self._rate_hz, stop / self._rate_hz)
        placed = [
            Marker(label=PREFIX + trial.label, sample=sample_at(trial.cue_s, self._rate_hz))
            for trial in near
        ]
        return [marker for marker in placed if first <= marker.sample < stop]

    def _draw(self, at_s: float) -> Trial:
        label = WRONG if self._rng.random() < self._plan.wrong_share else RIGHT
        looks = self._rng.random() >= self._plan.lapse_share
        trial = draw_trial(self._rng, label, at_s, at_s, at_s + RESPONSE_S)
        return replace(trial, vigour=trial.vigour * self._plan.strength(at_s) * looks)


class ErrorResponse:
    """One person's error potential, as it is seen right above its source.

    People differ in how large each peak is and in how late they all are; single trials differ as
    `simulated_task.draw_trial` says.

    Parameters
    ----------
    person : int
        Seed of the person.
    """

    def __init__(self, person: int) -> None:
        draws = np.random.default_rng([person, _PERSON_STREAM])
        self._peaks_uv = _PEAKS_UV * draws.uniform(0.6, 1.4, len(_PEAKS_UV))
        late_s = np.clip(draws.normal(0.0, _PERSON_LATE_S), -2 * _PERSON_LATE_S, 2 * _PERSON_LATE_S)
        self._peaks_s = np.array(PEAKS_S) + late_s

    def course(self, times_s: NDArray[np.float64], shown: Sequence[Trial]) -> NDArray[np.float64]:
        """What feedback evokes.

        Parameters
        ----------
        times_s : ndarray, shape (n_times,)
            Stream time.
        shown : sequence of Trial
            Feedback whose response may reach into it.

        Returns
        -------
        course : ndarray, shape (1, n_times)
            Microvolts.
        """
        course = np.zeros((1, len(times_s)))
        for trial in shown:
            since_s = times_s - trial.cue_s
            inside = (since_s >= 0) & (since_s < RESPONSE_S)
            away_s = since_s - trial.lateness_s - self._peaks_s[:, None]
            waves = np.exp(-0.5 * (away_s / _WIDTHS_S[:, None]) ** 2)
            strength = trial.vigour * (1.0 if trial.label == WRONG else _RIGHT_SHARE)
            course += strength * inside * (self._peaks_uv @ waves)
        return course
