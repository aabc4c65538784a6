"""A learner that chooses, trial by trial, which update its head gets, and steps back if it errs.

Beside the head that gets the chosen updates (the *mix*) run heads that follow one rule each, among
them the one that is never changed. Three things are kept apart:

- *which update*: a policy picks the one whose gain may be largest, from the context. The gain is
  by how much the head scores better with the update than without on the trials after it;
- *whether the mix is offered*: only while what was offered cannot have earned less than
  ``1 - alpha`` times what the unchanged head would have; otherwise the unchanged head is offered.
  Earnings are quadratic scores on the scale of accuracy, since with a reward that is wrong in one
  of four trials differences of right and wrong are known too late to be of use;
- *whether to ask*: if even the best head has lost more than a recalibration costs, and no update
  promises as much, it asks for one.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import hypot

import numpy as np

from ...runtime.errors import ConfigError
from ...runtime.prototype_head import Floats, PrototypeHead
from ..trial import Reward, Trial
from . import updates
from .candidates import (
    Candidates,
    Estimate,
    in_its_space,
    lifted,
    quadratic_scores,
    whitened,
    worths,
)
from .conservatism import Conservatism
from .head_stack import HeadStack
from .linucb import Policy
from .situation import Situation

KEEP, SWITCH, ASK = "keep", "switch", "ask"
ACTIONS: dict[str, updates.Update] = {
    "recentre": updates.recentre,
    "pull decided": updates.pull_decided,
    "pull second": updates.pull_second,
    "warm": updates.warm,
    "cool": updates.cool,
}
LEARNT = (*ACTIONS, SWITCH)
"""Actions whose gain is learnt; that of keeping is zero, that of asking is reckoned."""

MIX = "mix"
RULES: dict[str, updates.Update] = {
    KEEP: updates.keep,
    "recentre": updates.recentre,
    "pull": updates.pull_told,
    "recentre and pull": updates.recentre_and_pull,
    MIX: updates.keep,
}
SAID = {
    KEEP: "kept the head as it is",
    "recentre": "moved the centre to the windows",
    "pull decided": "pulled the prototypes of the decided option",
    "pull second": "pulled the prototypes of the second option after an error",
    "warm": "made the probabilities more modest",
    "cool": "made the probabilities bolder",
    SWITCH: "moved towards the head that earned most",
    ASK: "asks for recalibration",
}


@dataclass(frozen=True, kw_only=True)
class UpdateBanditConfig:
    """What a person may choose.

    Parameters
    ----------
    alpha : float
        Share of what the unchanged head would earn that may be lost, above 0 and below 1.
    delta : float
        Probability with which that bound may be wrong, above 0 and below 0.5.
    checkpoint : int
        Rewarded trials from one check of the bound to the next.
    memory : float
        Trials after which what was won or lost has faded to a third, finite and above 2.
    window : int
        Rewarded trials that estimates of accuracy rest on, at least 4.
    enough : int
        Rewarded trials before anything but the unchanged head is offered.
    horizon : int
        Rewarded trials after an update on which its gain is measured.
    patience : int
        Trials that a reward may come late; then the trial is learnt from without.
    price : float
        Accuracy that must have been lost for a recalibration to be worth its trouble.
    hindsight : bool
        Whether the gains of updates that were not chosen are reckoned too; they can be, since an
        update is a function and what came later is known. If not, only that of the chosen one.
    """

    alpha: float = 0.05
    delta: float = 0.1
    checkpoint: int = 5
    memory: float = 100.0
    window: int = 40
    enough: int = 10
    horizon: int = 6
    patience: int = 8
    price: float = 0.15
    hindsight: bool = True

    def __post_init__(self) -> None:
        limits = {
            "alpha": (0, 1), "delta": (0, 0.5), "checkpoint": (0, 101), "memory": (2, np.inf),
            "window": (3, 1001), "enough": (1, 1001), "horizon": (0, 51), "patience": (0, 101),
            "price": (0, 1),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            if not low < (got := getattr(self, name)) < high:
                raise ConfigError(
                    f"{name} of an update bandit must lie above {low} and below {high}, got {got}: "
                    f"leave it out to get {type(self).__dataclass_fields__[name].default}."
                )


@dataclass(slots=True, kw_only=True)
class _Seen:
    """A trial whose reward has not come, and what each head made of it when it was seen."""

    trial: Trial
    posteriors: Floats
    offered: int


@dataclass(slots=True, kw_only=True)
class _Choice:
    """A choice whose gain is not known yet."""

    number: int
    context: Floats
    actions: tuple[int, ...]
    heads: HeadStack  # before any, then after each
    gains: Floats
    heard: int = 0


class UpdateBandit:
    """All of the learner but the policy.

    It keeps at most ``patience`` trials and ``2 * horizon`` choices, whatever the session's length.
    The first reward of a trial counts; what else is said of it later is not heard.

    Parameters
    ----------
    head : PrototypeHead
        As calibrated: the baseline that nothing offered may fall far below.
    config : UpdateBanditConfig
        What a person chose.
    policy : Policy
        Over the actions `LEARNT`, in that order.
    """

    Config: type[UpdateBanditConfig] = UpdateBanditConfig

    def __init__(self, head: PrototypeHead, config: UpdateBanditConfig, policy: Policy) -> None:
        self._config, self._policy = config, policy
        self._begin(head)

    def _begin(self, head: PrototypeHead) -> None:
        small = in_its_space(head)
        self._space = head
        self._candidates = Candidates(small, RULES, self._config.window)
        self._situation = Situation(small)
        self._account = Conservatism(self._config.alpha, self._config.delta, self._config.memory)
        self._waiting: dict[int, _Seen] = {}
        self._choices: deque[_Choice] = deque(maxlen=2 * self._config.horizon)
        self._reference: Estimate | None = None
        self._trusts_mix, self._silent, self._chosen = False, 0, KEEP

    @property
    def head(self) -> PrototypeHead:
        """What it would decide with now: the mix if the bound allows, else the unchanged head."""
        return lifted(self._candidates.heads[MIX if self._trusts_mix else KEEP], self._space)

    @property
    def rule(self) -> str:
        """What it last did, in a few words."""
        offered = "" if self._trusts_mix else "; offers the unchanged head"
        return SAID[self._chosen] + offered

    @property
    def asks_recalibration(self) -> bool:
        """Whether it last chose to ask for one."""
        return self._chosen == ASK

    def see(self, trial: Trial) -> None:
        """A decision was made: note what each head makes of it, before any learns from it."""
        if not trial.features.size or not np.isfinite(trial.features).all():
            return
        trial = whitened(trial, self._space)
        self._situation.see(trial)
        offered = self._candidates.names.index(MIX if self._trusts_mix else KEEP)
        self._waiting[trial.number] = _Seen(
            trial=trial, posteriors=self._candidates.posteriors(trial), offered=offered
        )
        if len(self._waiting) > self._config.patience:
            self._silent += 1
            self._learn(self._waiting.pop(next(iter(self._waiting))), None)

    def hear(self, reward: Reward) -> None:
        """Something became known of a trial; of an unknown or old one, nothing."""
        if (seen := self._waiting.pop(reward.trial, None)) is None:
            return
        self._silent = 0
        worth = worths(seen.trial, reward, seen.posteriors.mean(axis=0))
        if worth is not None:
            self._judge(seen, worth)
        self._learn(seen, reward)

    def adopt(self, head: PrototypeHead) -> None:
        """Another head serves: go on from it, or begin anew if its space is another."""
        same = (np.array_equal(getattr(head, n), getattr(self._space, n)) for n in _SPACE)
        if head.classes != self._space.classes or not all(same):
            self._begin(head)
            return
        self._candidates.heads[MIX] = in_its_space(head)
        self._choices.clear()
        self._trusts_mix, self._chosen = True, KEEP

    def _judge(self, seen: _Seen, worth: Floats) -> None:
        """Credit heads and choices with what is now known of a trial."""
        earned = self._candidates.judge(seen.posteriors, worth)
        baseline = float(earned[self._candidates.names.index(KEEP)])
        self._account.note(float(earned[seen.offered]), baseline)
        if seen.trial.decided >= 0:
            self._situation.hear(float(worth[seen.trial.decided]))
        for choice in self._choices:
            self._credit(choice, seen.trial, worth)
        while self._choices and self._choices[0].heard >= self._config.horizon:
            done = self._choices.popleft()
            for action, gain in zip(done.actions, done.gains.tolist(), strict=True):
                self._policy.learn(done.context, action, gain / done.heard / GAIN_UNIT)
        if self._account.trials % self._config.checkpoint == 0:
            self._check()

    def _credit(self, choice: _Choice, trial: Trial, worth: Floats) -> None:
        """Only trials after the choice tell what it gained."""
        if trial.number <= choice.number or choice.heard >= self._config.horizon:
            return
        choice.heard += 1
        scores = quadratic_scores(choice.heads.posteriors(trial), worth)
        choice.gains += scores[1:] - scores[0]

    def _check(self) -> None:
        """Say at a checkpoint whether the mix may be offered until the next one."""
        lead, keep = self._candidates.lead(MIX, KEEP), self._candidates.earning(KEEP)
        if keep.trials < self._config.enough:
            return
        if self._reference is None and keep.trials == self._config.window:
            self._reference = self._candidates.accuracy(KEEP)
        floor = self._account.floor(
            lead.mean, lead.error, min(max(keep.mean, 0.0), 1.0), self._config.checkpoint
        )
        self._trusts_mix = floor >= 0

    def _learn(self, seen: _Seen, reward: Reward | None) -> None:
        """Choose an update, apply it to the mix, and let the other heads follow their rules."""
        trial, mix = seen.trial, self._candidates.heads[MIX]
        believed = updates.believed(mix, trial, reward)
        context = self._situation.figures(trial, trial.posterior(mix), believed)
        after = {
            LEARNT.index(name): head
            for name in LEARNT
            if (head := self._updated(name, mix, trial, reward)) is not mix
        }
        self._chosen = self._choose(context, tuple(after))
        if self._chosen in LEARNT:
            self._candidates.heads[MIX] = after[LEARNT.index(self._chosen)]
            self._situation.changed()
        self._remember(trial.number, context, mix, after)
        self._candidates.learn(trial, reward)

    def _updated(
        self, name: str, mix: PrototypeHead, trial: Trial, reward: Reward | None
    ) -> PrototypeHead:
        if name != SWITCH:
            return ACTIONS[name](mix, trial, reward)
        best = self._candidates.best()
        return mix if best == MIX else updates.towards(mix, self._candidates.heads[best])

    def _choose(self, context: Floats, possible: tuple[int, ...]) -> str:
        """The action that may gain most; the first of equals."""
        if self._silent > self._config.window:
            return KEEP
        means, widths = self._policy.bounds(context)
        upper = {KEEP: 0.0, ASK: self._worth_of_asking()}
        upper |= {LEARNT[k]: float(means[k] + widths[k]) * GAIN_UNIT for k in possible}
        return max(upper, key=upper.__getitem__)

    def _worth_of_asking(self) -> float:
        """What even the best head has lost, surely, less the price of a recalibration."""
        best = self._candidates.accuracy(self._candidates.best())
        if self._reference is None or not np.isfinite(best.error):
            return -np.inf
        lost, error = self._reference.mean - best.mean, hypot(self._reference.error, best.error)
        return lost - 2 * error - self._config.price

    def _remember(
        self, number: int, context: Floats, mix: PrototypeHead, after: dict[int, PrototypeHead]
    ) -> None:
        if not self._config.hindsight:
            after = {k: head for k, head in after.items() if LEARNT[k] == self._chosen}
        if after:
            stack = HeadStack([mix, *after.values()])
            self._choices.append(_Choice(
                number=number, context=context, actions=tuple(after), heads=stack,
                gains=np.zeros(len(after)),
            ))  # fmt: skip


_SPACE = ("mean", "scale", "basis", "log_priors")
GAIN_UNIT = 0.02
"""Quadratic score that one update gains or loses, so that the policy's figures are near 1."""
