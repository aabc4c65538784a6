"""Who said what of which trial: markers, cues and error potentials as rewards.

References
----------
An error detector's answer is corrected with its known confusion, so that its mean over many trials
is the accuracy; below a balanced accuracy of 0.65 it is not believed (``reference`` of the design:
online detectors reach 0.7 to 0.9).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ..runtime.adaptation_config import AdaptationConfig
from ..runtime.messages import Marker
from .error_link import Judged
from .trial import ABSTAINED, Reward, Trial

_KEPT = 64
_LEAST_SUM = 1.3  # of both rates: a balanced accuracy of 0.65
_MOST_LOG_ODDS = 4.0
_SURE, _DOUBTFUL = 0.95, (0.4, 0.6)

WORDS: Mapping[str, tuple[str, bool]] = {
    "undo": ("undo", False),
    "backspace": ("undo", False),
    "outcome:right": ("task", True),
    "outcome:wrong": ("task", False),
    "operator:right": ("operator", True),
    "operator:wrong": ("operator", False),
}
"""Markers that say something of the last trial: who says it, and whether it was right."""

WITHIN_S: Mapping[str, float] = {"undo": 5.0, "task": 5.0, "operator": 10.0}
"""How long after a trial such a marker is still about it, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRates:
    """How good an error detector was on what it had not seen.

    Parameters
    ----------
    sensitivity : float
        Share of errors that it found.
    specificity : float
        Share of right selections that it left alone.
    share : float
        Of errors in its calibration, which its probabilities take for granted.
    """

    sensitivity: float
    specificity: float
    share: float

    @classmethod
    def of(cls, scores: Mapping[str, Any]) -> Self:
        """From the card of a model; rates that are not there count as chance."""
        return cls(
            sensitivity=float(scores.get("sensitivity", 0.5)),
            specificity=float(scores.get("specificity", 0.5)),
            share=min(max(float(scores.get("error_share", 0.5)), 0.01), 0.99),
        )

    @property
    def believed(self) -> bool:
        """Whether it is good enough to be listened to."""
        return self.sensitivity + self.specificity >= _LEAST_SUM

    def log_odds(self, error: float) -> float:
        """How much more probable the signal is if the decision was right, as a logarithm."""
        error = min(max(error, 1e-6), 1 - 1e-6)
        prior = math.log(self.share / (1 - self.share))
        odds = prior - math.log(error / (1 - error))
        return min(max(odds, -_MOST_LOG_ODDS), _MOST_LOG_ODDS)

    def value(self, error: float) -> float:
        """Unbiased estimate of whether the decision was right, by the known confusion."""
        right = float(error <= self.share)
        missed = 1 - self.sensitivity
        return (right - missed) / (self.sensitivity + self.specificity - 1)


class RewardDesk:
    """Turns what is noticed into rewards of the right trial.

    Parameters
    ----------
    config : AdaptationConfig
        Who is believed.
    classes : tuple of str
        Of the decoder.
    rates : ErrorRates, optional
        Of the error detector.
    """

    def __init__(
        self, config: AdaptationConfig, classes: tuple[str, ...], rates: ErrorRates | None = None
    ) -> None:
        self._believed = frozenset(config.rewards)
        self._classes, self._rates = classes, rates
        self._trials: OrderedDict[int, tuple[int, float]] = OrderedDict()
        self._answered: OrderedDict[tuple[int, str], None] = OrderedDict()

    def see(self, trial: Trial, cue: str = "") -> tuple[Reward, ...]:
        """A trial was made.

        Parameters
        ----------
        trial : Trial
            It.
        cue : str
            What the task asked for; empty if that is not known.

        Returns
        -------
        rewards : tuple of Reward
            What its cue says of it.
        """
        self._trials[trial.number] = (trial.decided, trial.at_s)
        while len(self._trials) > _KEPT:
            self._trials.popitem(last=False)
        if cue not in self._classes or "cue" not in self._believed:
            return ()
        meant = self._classes.index(cue)
        right = meant == trial.decided
        return (
            Reward(
                trial=trial.number,
                log_odds=_MOST_LOG_ODDS if right else -_MOST_LOG_ODDS,
                value=float(right),
                meant=meant,
                at_s=trial.at_s,
                source="cue",
            ),
        )

    def mark(self, marker: Marker, at_s: float) -> tuple[Reward, ...]:
        """A marker came.

        Parameters
        ----------
        marker : Marker
            Any; see `WORDS`.
        at_s : float
            In seconds of the loop's clock.

        Returns
        -------
        rewards : tuple of Reward
            Of the last trial, if it is about it.
        """
        source, right = WORDS.get(marker.label, ("", False))
        if source not in self._believed or not self._trials:
            return ()
        number = next(reversed(self._trials))
        decided, made_s = self._trials[number]
        if decided == ABSTAINED or not 0 <= at_s - made_s <= WITHIN_S[source]:
            return ()
        if not self._first(number, source):
            return ()
        odds = math.log(_SURE / (1 - _SURE))
        return (
            Reward(
                trial=number,
                log_odds=odds if right else -odds,
                value=_value(right),
                at_s=at_s,
                source=source,
            ),
        )

    def judge(self, judged: Judged, at_s: float) -> Reward | None:
        """The error detector has answered.

        Parameters
        ----------
        judged : Judged
            What it says of which trial.
        at_s : float
            In seconds of the loop's clock.

        Returns
        -------
        reward : Reward or None
            Nothing, if the detector is not believed, or hesitates.
        """
        rates = self._rates
        if rates is None or not rates.believed or judged.trial not in self._trials:
            return None
        odds = rates.log_odds(judged.error)
        if _DOUBTFUL[0] <= 1 / (1 + math.exp(odds)) <= _DOUBTFUL[1]:
            return None
        return Reward(
            trial=judged.trial,
            log_odds=odds,
            value=rates.value(judged.error),
            at_s=at_s,
            source="error potential",
        )

    def _first(self, number: int, source: str) -> bool:
        """Whether a source speaks of a trial for the first time: a second undo is of another."""
        if (number, source) in self._answered:
            return False
        self._answered[number, source] = None
        while len(self._answered) > _KEPT:
            self._answered.popitem(last=False)
        return True


def _value(right: bool) -> float:
    """Unbiased for somebody who is mistaken as often either way."""
    return (float(right) - (1 - _SURE)) / (2 * _SURE - 1)
