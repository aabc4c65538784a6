"""Which weights decide, and how that came about, gathered from messages; no Qt."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace

from ..runtime.adaptation_figures import AdaptationFigures
from ..runtime.messages import Chunk, Event, EventKind, Promotion, StreamSpec, Turn
from ..runtime.telemetry import Telegram

NOTHING_ADAPTS = "Nothing has adapted in this session: the weights it began with decide."
OTHERS_REFUSED = "Other weights were offered, none has taken over: the first ones decide."
UNKNOWN = "No decision has come yet, so nobody knows which weights decide."
NO_FIGURES = "Reward and shadow figures: none, because this session names no learner."
OFFERED, TOOK_OVER, REFUSED = "offered", "took over", "refused"
"""What can have become of weights."""

_MOST = 500
_MOST_POINTS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How often decisions were right, as rewards tell it, when so many trials had been.

    Parameters
    ----------
    n_trials : int
        Since the session began.
    right, decided : float
        Share of the last trials that were right, and in which anything was decided. What was not
        decided was not right.
    """

    n_trials: int
    right: float
    decided: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Other weights were offered to the loop, which took or refused them.

    Parameters
    ----------
    epoch : int
        Theirs.
    at_s : float
        Stream time, seconds; negative if it is not known.
    reason, who, kind : str
        As in `Promotion`.
    became : str
        `OFFERED`, `TOOK_OVER` or `REFUSED`.
    n_trials : int
        Trials that there had been.
    """

    epoch: int
    at_s: float
    reason: str
    who: str
    kind: str
    became: str = OFFERED
    n_trials: int = 0


class AdaptationView:
    """What is known of the weights."""

    def __init__(self) -> None:
        self.epoch: int | None = None
        """Of the weights that made the newest decision."""
        self.changes: deque[Change] = deque(maxlen=_MOST)
        """Newest last."""
        self.count = 0
        """Of all that were offered."""
        self.figures: AdaptationFigures | None = None
        """The newest of the session's learner and envelope."""
        self.course: deque[Standing] = deque(maxlen=_MOST_POINTS)
        """How it went, a point for each number of trials."""
        self._rate_hz = 0.0
        self._stop = 0

    @property
    def changed_at(self) -> list[int]:
        """Numbers of trials at which other weights were offered."""
        return [change.n_trials for change in self.changes]

    def take(self, message: Telegram) -> None:
        """Learn from a message."""
        match message:
            case StreamSpec():
                self._rate_hz = message.rate_hz
            case Chunk():
                self._stop = message.stop_sample
            case Turn():
                self._take_epoch(message.decision.epoch)
            case Event() if message.kind is EventKind.PROMOTED:
                self._settle(TOOK_OVER if TOOK_OVER in message.text else REFUSED)
            case AdaptationFigures():
                self._take_figures(message)
            case Promotion():
                self._take_promotion(message)

    def sentence(self) -> str:
        """What is known, in words."""
        taken = [change for change in self.changes if change.became == TOOK_OVER]
        if taken:
            times = "once" if len(taken) == 1 else f"{len(taken)} times"
            return f"Weights changed {times}; epoch {self.epoch} decides now."
        if self.epoch is None:
            return UNKNOWN
        if self.epoch and not self.changes:
            return f"Epoch {self.epoch} decides; how it came was before this view looked on."
        return OTHERS_REFUSED if self.changes else NOTHING_ADAPTS

    def told_figures(self) -> str:
        """Figures of learner and envelope, in words."""
        figures = self.figures
        if figures is None:
            return NO_FIGURES
        words = [
            f"{figures.learner}: {figures.n_trials} trials, {figures.n_rewards} rewards",
            f"decided {_share(figures.decided_share)} of the last trials, right by rewards "
            f"{_share(figures.reward_rate)} of these",
            f"shadow of {figures.n_shadow} trials: benefit {_points(figures.benefit)}, at least "
            f"{_points(figures.lower_bound)}",
            f"last step {_number(figures.divergence_nat)} nat, drift {_number(figures.drift)}",
            f"{figures.promoted} promoted, {figures.rolled_back} rolled back, "
            f"{figures.turned_down} turned down",
        ]
        return "; ".join(words)

    def told_why(self) -> str:
        """Why nothing changes now, in words; empty if something did."""
        figures = self.figures
        if figures is None or not (figures.frozen or figures.waiting):
            return ""
        return f"frozen: {figures.frozen}" if figures.frozen else f"waiting: {figures.waiting}"

    def _take_figures(self, figures: AdaptationFigures) -> None:
        self.figures = figures
        right = figures.reward_rate * figures.decided_share
        if not math.isfinite(right):
            return
        if self.course and self.course[-1].n_trials == figures.n_trials:
            self.course.pop()
        share = min(max(right, 0.0), 1.0)
        self.course.append(
            Standing(n_trials=figures.n_trials, right=share, decided=figures.decided_share)
        )

    def _take_epoch(self, epoch: int) -> None:
        self.epoch = epoch
        if self.changes and self.changes[-1].epoch == epoch:
            self._settle(TOOK_OVER)

    def _settle(self, became: str) -> None:
        if self.changes and self.changes[-1].became == OFFERED:
            self.changes[-1] = replace(self.changes[-1], became=became)
            if became == TOOK_OVER:
                self.epoch = self.changes[-1].epoch

    def _take_promotion(self, promotion: Promotion) -> None:
        self.count += 1
        self.changes.append(
            Change(
                epoch=promotion.epoch,
                at_s=self._stop / self._rate_hz if self._rate_hz else -1.0,
                reason=promotion.reason,
                who=promotion.who,
                kind=promotion.kind,
                n_trials=self.figures.n_trials if self.figures else 0,
            )
        )


def _share(value: float) -> str:
    return f"{value:.0%}" if math.isfinite(value) else "unknown"


def _points(value: float) -> str:
    return f"{100 * value:+.1f} points" if math.isfinite(value) else "unknown"


def _number(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "unknown"
