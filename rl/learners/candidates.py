"""A few heads side by side, each following one rule, and how right each would have been.

Only one decision is acted on, and only that one is rewarded. What another head would have earned
is estimated from the same reward: exactly if it would have decided the same, and otherwise by how
probable its option is among those left. A trial judges a head before the head learns from it.

References
----------
- Dawid. Statistical theory: the prequential approach. J. Royal Statistical Society A, 1984.
- Dudik, Langford, Li. Doubly robust policy evaluation and learning. ICML, 2011.
- Brier. Verification of forecasts expressed in terms of probability. Monthly Weather Review,
  1950.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...runtime.prototype_head import Floats, PrototypeHead
from ..trial import ABSTAINED, UNKNOWN, Reward, Trial
from .head_stack import HeadStack
from .updates import Update


def worths(trial: Trial, reward: Reward, options: Floats) -> Floats | None:
    """Unbiased estimate, option by option, of whether it was meant.

    The model is the posterior; the reward corrects it where something was observed. For the
    decided option the estimate rests on the reward alone; only the split among the others rests on
    the model.

    Parameters
    ----------
    trial : Trial
        What was decided.
    reward : Reward
        What is known of it.
    options : ndarray, shape (n_options,)
        How probable each was, without the reward.

    Returns
    -------
    worths : ndarray, shape (n_options,), or None
        Sums to 1; single ones may lie outside 0 to 1. None if nothing can be said.
    """
    known: Floats = np.zeros(trial.n_options)
    if reward.meant != UNKNOWN:
        known[reward.meant] = 1.0
        return known
    if trial.decided == ABSTAINED:
        return None
    others = np.maximum(options, 1e-9)
    others[trial.decided] = 0.0
    known += (1 - reward.value) * others / max(others.sum(), 1e-12)
    known[trial.decided] = reward.value
    return known


def quadratic_scores(posteriors: Floats, worth: Floats) -> Floats:
    """How good posteriors were: one less Brier's score, up to a term that all heads share.

    It is linear in what was meant, so an unbiased estimate of that gives an unbiased score; and it
    is proper, so neither bolder nor more modest probabilities than are true gain by it.

    Parameters
    ----------
    posteriors : ndarray, shape (n_heads, n_options)
        Each row sums to 1.
    worth : ndarray, shape (n_options,)
        From `worths`.

    Returns
    -------
    scores : ndarray, shape (n_heads,)
        The higher the better; 1 for certainty of what was meant.
    """
    scores: Floats = 2 * posteriors @ worth - (posteriors**2).sum(axis=1)
    return scores


def whitened(trial: Trial, head: PrototypeHead) -> Trial:
    """The same trial with its features in the space of a head, before centring."""
    features = ((np.asarray(trial.features) - head.mean) / head.scale) @ head.basis
    return replace(trial, features=features)


def in_its_space(head: PrototypeHead) -> PrototypeHead:
    """The same head for whitened trials: cheap to copy, to move and to ask."""
    n = head.basis.shape[1]
    return replace(head, mean=np.zeros(n), scale=np.ones(n), basis=np.eye(n))


def lifted(small: PrototypeHead, head: PrototypeHead) -> PrototypeHead:
    """Undo `in_its_space`: the prototypes of `small` with the space of `head`."""
    return replace(small, mean=head.mean, scale=head.scale, basis=head.basis)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean over trials and how sure it is.

    Parameters
    ----------
    mean : float
        Of the estimates.
    error : float
        Standard error of it; infinite for fewer than two trials.
    trials : int
        On how many it rests.
    """

    mean: float
    error: float
    trials: int


class Candidates:
    """Heads that evolve in parallel, and what the rewards say of each.

    Parameters
    ----------
    head : PrototypeHead
        Where all of them begin.
    rules : mapping of str to Update
        Name of each and what it does after every trial.
    window : int
        Trials that an estimate rests on; older ones are forgotten.
    """

    def __init__(self, head: PrototypeHead, rules: Mapping[str, Update], window: int) -> None:
        self.heads = dict.fromkeys(rules, head)
        self._rules = dict(rules)
        self._earned: deque[Floats] = deque(maxlen=window)
        self._right: deque[Floats] = deque(maxlen=window)

    @property
    def names(self) -> tuple[str, ...]:
        """In the order of the estimates."""
        return tuple(self._rules)

    def posteriors(self, trial: Trial) -> Floats:
        """What each head makes of a trial, shape (n_candidates, n_options)."""
        return HeadStack(list(self.heads.values())).posteriors(trial)

    def judge(self, posteriors: Floats, worth: Floats) -> Floats:
        """Credit each head with what its decision was worth, and with how good its posterior was.

        Parameters
        ----------
        posteriors : ndarray, shape (n_candidates, n_options)
            As they were when the trial was seen.
        worth : ndarray, shape (n_options,)
            From `worths`.

        Returns
        -------
        earned : ndarray, shape (n_candidates,)
            Quadratic score on the scale of accuracy: 1 for certain and right, 0 for certain and
            wrong. Heads that differ little earn nearly the same, so that their difference is far
            less noisy than that of right and wrong.
        """
        earned: Floats = (1 + quadratic_scores(posteriors, worth)) / 2
        self._earned.append(earned)
        self._right.append(worth[posteriors.argmax(axis=1)])
        return earned

    def learn(self, trial: Trial, reward: Reward | None) -> None:
        """Let each follow its rule."""
        for name, rule in self._rules.items():
            self.heads[name] = rule(self.heads[name], trial, reward)

    def accuracy(self, name: str) -> Estimate:
        """How often a head was right lately."""
        return _summary(self._right, self._chosen(name))

    def earning(self, name: str) -> Estimate:
        """What a head earned a trial lately, as `judge` reckons it."""
        return _summary(self._earned, self._chosen(name))

    def lead(self, name: str, over: str) -> Estimate:
        """By how much a head earned more than another on the same trials."""
        return _summary(self._earned, self._chosen(name) - self._chosen(over))

    def best(self) -> str:
        """The one that earned most lately; the first of equals."""
        if not self._earned:
            return self.names[0]
        return self.names[int(np.mean(self._earned, axis=0).argmax())]

    def _chosen(self, name: str) -> Floats:
        return np.array([float(each == name) for each in self._rules])


def _summary(trials: Sequence[Floats], weights: Floats) -> Estimate:
    n = len(trials)
    if n < 2:
        return Estimate(mean=0.0, error=np.inf, trials=n)
    values = np.stack(trials) @ weights
    error = float(values.std(ddof=1) / np.sqrt(n))
    return Estimate(mean=float(values.mean()), error=error, trials=n)
