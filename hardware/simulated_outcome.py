"""A task that knows what was asked for, and says after each trial what came of it.

It gathers what the decoder said while the participant did as asked, and some time after the trial
puts a marker ``outcome:right`` or ``outcome:wrong`` into the stream: a target was hit or missed. It
never says what was asked for, and it may be mistaken as often as somebody wants.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConfigError
from ..runtime.messages import Marker
from .simulated_task import Trial

RIGHT, WRONG = "outcome:right", "outcome:wrong"

_STREAM = 8  # keeps these draws apart from those of the timeline and of the signal


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomePlan:
    """Whether and when the task says what came of a trial.

    Parameters
    ----------
    told : bool
        Whether it says anything.
    from_s : float
        From the cue to the first sample that counts, 0 to 60 s.
    trial_s : float
        From the cue to the last sample that counts, above `from_s`, at most 60 s.
    delay_s : float
        From there to the marker, 0.2 to 4 s: at least what the decoder takes to answer.
    mistaken : float
        Share of trials of which it says the opposite, 0 to 1; drawn by the seed.

    Raises
    ------
    ConfigError
        If a value cannot be used.
    """

    told: bool = False
    from_s: float = 0.75
    trial_s: float = 3.0
    delay_s: float = 0.4
    mistaken: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.from_s < self.trial_s <= 60 and 0.2 <= self.delay_s <= 4):
            raise ConfigError(
                f"simulator.outcome needs 0 <= from_s < trial_s <= 60 s and delay_s in [0.2, 4] s, "
                f"got {self.from_s!r}, {self.trial_s!r} and {self.delay_s!r}: leave them out for "
                f"0.75, 3 and 0.4."
            )
        if not 0 <= self.mistaken <= 1:
            raise ConfigError(
                f"simulator.outcome.mistaken must be in [0, 1], got {self.mistaken!r}: it is a "
                f"share."
            )


@dataclass(slots=True)
class _Open:
    """A trial of which not everything is known."""

    trial: Trial
    sums: dict[str, float] = field(default_factory=dict)
    windows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a trial.

    Parameters
    ----------
    trial : Trial
        What was asked for, and when.
    decided : str
        What the decoder read in it; empty if it read nothing.
    told : str
        The marker; empty where nothing was read.
    at_s : float
        Stream time of the marker.
    """

    trial: Trial
    decided: str
    told: str
    at_s: float


class OutcomeTeller:
    """Puts decisions to trials, and says what came of them.

    Parameters
    ----------
    plan : OutcomePlan
        When a trial is over.
    between : callable
        From start and stop in seconds to the trials that are cued between them.
    rate_hz : float
        Of the stream.
    seed : int
        Of its mistakes.
    """

    def __init__(
        self,
        plan: OutcomePlan,
        between: Callable[[float, float], Sequence[Trial]],
        rate_hz: float,
        seed: int,
    ) -> None:
        self._plan, self._between, self._rate_hz = plan, between, rate_hz
        self._rng = np.random.default_rng([seed, _STREAM])
        self._open: deque[_Open] = deque()
        self._known_s = 0.0

    def take(
        self,
        classes: Sequence[str],
        probabilities: NDArray[np.float64],
        first_sample: int,
        stop_sample: int,
    ) -> None:
        """A window was decoded.

        Parameters
        ----------
        classes : sequence of str
            What the probabilities speak of.
        probabilities : ndarray, shape (n_classes,)
            NaN where nothing was decoded.
        first_sample, stop_sample : int
            Stream index of its first sample, and one past its last.
        """
        self._look_ahead(stop_sample / self._rate_hz)
        if not np.isfinite(probabilities).all():
            return
        for one in self._open:
            begins_s = one.trial.cue_s + self._plan.from_s
            ends_s = one.trial.cue_s + self._plan.trial_s
            inside = first_sample / self._rate_hz >= begins_s
            if inside and stop_sample / self._rate_hz <= ends_s + 1e-9:
                one.windows += 1
                logs = np.log(np.maximum(probabilities, 1e-12))
                for label, value in zip(classes, logs, strict=True):
                    one.sums[label] = one.sums.get(label, 0.0) + float(value)

    def due(self, until_s: float) -> list[Outcome]:
        """What has become known before a moment, oldest first; each trial once.

        Parameters
        ----------
        until_s : float
            Stream time.

        Returns
        -------
        outcomes : list of Outcome
            Of trials that were over `delay_s` before.
        """
        self._look_ahead(until_s)
        found = []
        while self._open and (at_s := self._told_s(self._open[0].trial)) < until_s:
            found.append(self._outcome(self._open.popleft(), at_s))
        return found

    def markers(self, first: int, stop: int) -> list[Marker]:
        """What is said at samples in [first, stop), without LSL times."""
        placed = [
            Marker(label=one.told, sample=max(first, math.floor(one.at_s * self._rate_hz)))
            for one in self.due(stop / self._rate_hz)
            if one.told
        ]
        return placed

    def _told_s(self, trial: Trial) -> float:
        return trial.cue_s + self._plan.trial_s + self._plan.delay_s

    def _look_ahead(self, until_s: float) -> None:
        """Know the trials that are cued before a moment."""
        if until_s > self._known_s:
            self._open.extend(_Open(trial) for trial in self._between(self._known_s, until_s))
            self._known_s = until_s

    def _outcome(self, one: _Open, at_s: float) -> Outcome:
        mistaken = self._rng.random() < self._plan.mistaken
        if not one.windows:
            return Outcome(trial=one.trial, decided="", told="", at_s=at_s)
        decided = max(one.sums, key=lambda label: one.sums[label])
        right = (decided == one.trial.label) is not mistaken
        told = RIGHT if right else WRONG
        return Outcome(trial=one.trial, decided=decided, told=told, at_s=at_s)
