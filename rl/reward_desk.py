"""Who said what of which trial: markers, cues and error potentials as rewards."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

from ..runtime.adaptation_config import AdaptationConfig
from ..runtime.messages import Marker
from .error_link import Judged
from .reward.confusion import Confusion, ConfusionConfig
from .reward.credit import KEY_PRESS, Credit
from .reward.sources import Sources
from .trial import ABSTAINED, Reward, Trial

_MOST = 200


def error_confusion(scores: Mapping[str, Any]) -> Confusion:
    """How far an error detector is believed.

    Parameters
    ----------
    scores : mapping
        Of its model's card; rates that are not there count as chance.

    Returns
    -------
    confusion : Confusion
        For probabilities as if right and wrong were equally frequent, see `balanced`: the rates on
        a card are those of the point at which the evidence itself speaks for an error.
    """
    tpr, tnr = (float(scores.get(name, 0.5)) for name in ("sensitivity", "specificity"))
    return Confusion(ConfusionConfig(tpr=_inside(tpr), tnr=_inside(tnr)))


def balanced(error: float, share: float) -> float:
    """A probability of error, had right and wrong been equally frequent in calibration.

    Parameters
    ----------
    error : float
        As the model gives it.
    share : float
        Of errors in its calibration.

    Returns
    -------
    error : float
        0 to 1.
    """
    share = _inside(share)
    wrong, right = error / share, (1 - error) / (1 - share)
    return wrong / (wrong + right)


class RewardDesk:
    """Turns what is noticed into rewards of the right trial.

    Parameters
    ----------
    config : AdaptationConfig
        Who is believed.
    classes : tuple of str
        Of the decoder.
    scores : mapping, optional
        Of the error model's card.
    """

    def __init__(
        self,
        config: AdaptationConfig,
        classes: tuple[str, ...],
        scores: Mapping[str, Any] | None = None,
    ) -> None:
        self._believed = frozenset(config.rewards)
        self._classes = classes
        self._sources, self._credit = Sources(classes), Credit(KEY_PRESS)
        self._confusion = error_confusion(scores or {})
        self._share = float((scores or {}).get("error_share", 0.5))
        self._answered: OrderedDict[tuple[int, str], None] = OrderedDict()
        self._may_be_undone: OrderedDict[int, float] = OrderedDict()

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
        if trial.decided != ABSTAINED:
            self._credit.decided(trial.number, trial.at_s)
            self._may_be_undone[trial.number] = trial.at_s
            _shorten(self._may_be_undone)
        if not cue or "cue" not in self._believed:
            return ()
        known = self._sources.reward(trial.number, f"meant:{cue}", at_s=trial.at_s)
        return () if known is None else (known,)

    def mark(self, marker: Marker, at_s: float) -> tuple[Reward, ...]:
        """A marker came.

        Parameters
        ----------
        marker : Marker
            Any; see `Sources` for those that say something.
        at_s : float
            In seconds of the loop's clock.

        Returns
        -------
        rewards : tuple of Reward
            Of the trial that it is about, once from each source.
        """
        number = self._credit.about(at_s)
        if number is None:
            return ()
        reward = self._sources.reward(number, marker.label, at_s=at_s)
        if reward is None or reward.source not in self._believed:
            return ()
        if reward.source == "undo":
            self._may_be_undone.pop(number, None)
        return (reward,) if self._first(number, reward.source) else ()

    def due(self, at_s: float) -> Iterator[Reward]:
        """What follows from nothing having been said: who has not undone a trial has kept it.

        Parameters
        ----------
        at_s : float
            In seconds of the loop's clock.

        Yields
        ------
        reward : Reward
            Of a trial that can be undone no more.
        """
        while self._may_be_undone:
            number, made_s = next(iter(self._may_be_undone.items()))
            if at_s - made_s <= KEY_PRESS.latest_s:
                return
            del self._may_be_undone[number]
            if "undo" in self._believed:
                yield self._sources.kept(number, at_s=at_s)

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
        if "error potential" not in self._believed:
            return None
        error = balanced(judged.error, self._share)
        reward = self._confusion.judged(judged.trial, error, at_s=at_s)
        return reward if reward.log_odds else None

    def _first(self, number: int, source: str) -> bool:
        """Whether a source speaks of a trial for the first time: a second undo is of another."""
        if (number, source) in self._answered:
            return False
        self._answered[number, source] = None
        _shorten(self._answered)
        return True


def _shorten(kept: OrderedDict[Any, Any]) -> None:
    while len(kept) > _MOST:
        kept.popitem(last=False)


def _inside(share: float) -> float:
    return min(max(share, 0.01), 0.99)
