"""Between environments and learners: observations as trials, scores as rewards, and a loop.

The decoder of this loop is a head, served without an envelope; what an envelope buys is the
question of the study of adaptation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from ...runtime.errors import ConfigError
from ...runtime.prototype_head import Floats, PrototypeHead
from ..learners.learner import Learner
from ..trial import ABSTAINED, Reward, Trial
from .error_channel import ErrorChannelConfig, Score
from .messenger import ERRORS, TOLD, Messenger

TEMPERATURES = tuple(2.0 ** (step / 2) for step in range(-2, 9))


class Environment(Protocol):
    """What this file asks of an environment: those of `registration` with trials have it."""

    @property
    def unwrapped(self) -> Any:
        """The environment itself, with ``classes``, ``n_options`` and ``reveal``."""

    def reset(self, *, seed: int | None, options: dict[str, Any] | None) -> tuple[Any, Any]:
        """Begin an episode."""

    def step(self, action: int) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Decide."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Played:
    """How an episode went.

    Parameters
    ----------
    decided, meant : ndarray of int, shape (n_trials,)
        Options; `ABSTAINED` for none.
    attended : ndarray of bool, shape (n_trials,)
        Whether the person was doing it.
    utility : float
        Sum over the episode.
    head : PrototypeHead
        What decided in the end.
    """

    decided: np.ndarray
    meant: np.ndarray
    attended: np.ndarray
    utility: float
    head: PrototypeHead

    @property
    def right(self) -> np.ndarray:
        """Whether each decision was right; an abstention is not."""
        right: np.ndarray = self.decided == self.meant
        return right

    def accuracy(self, start: int = 0) -> float:
        """Share of right decisions from a trial on."""
        return float(self.right[start:].mean())


def calibrated(calibration: Mapping[str, Any], classes: tuple[str, ...]) -> PrototypeHead:
    """A head fitted on what was recorded with cues.

    Parameters
    ----------
    calibration : dict
        ``features``, shape (n_trials, n_windows, n_features), and ``labels``, shape (n_trials,
        n_windows), as in the info of `reset`.
    classes : tuple of str
        Of the labels.

    Returns
    -------
    head : PrototypeHead
        Its temperature is the one of `TEMPERATURES` with the least log loss, each half of the
        trials read by a head of the other half.

    Raises
    ------
    BundleError
        If a class has too few windows.
    """
    features, labels = np.asarray(calibration["features"]), np.asarray(calibration["labels"])
    # Every other trial: what changes during calibration changes both halves.
    first = np.arange(len(features)) % 2 == 0
    losses = np.zeros(len(TEMPERATURES))
    for half in (first, ~first):
        head = _fitted(features[half], labels[half], classes)
        scores = head.scores(features[~half])
        losses += [_loss(scores / heat, labels[~half]) for heat in TEMPERATURES]
    whole = _fitted(features, labels, classes)
    return replace(whole, temperature=TEMPERATURES[int(losses.argmin())])


def trial_of(observation: Mapping[str, Any], number: int, n_classes: int) -> Trial:
    """An observation as a trial that is not decided yet.

    Parameters
    ----------
    observation : dict
        Of one of the environments with trials.
    number : int
        Of the trial.
    n_classes : int
        Of the decoder.

    Returns
    -------
    trial : Trial
        With the options of the speller if the observation is one.
    """
    at_s, quality = float(observation["time_s"][0]), float(observation["quality"][0])
    features = np.asarray(observation["features"], dtype=np.float64)
    if "lit" not in observation:
        return Trial.plain(number, features, n_classes, ABSTAINED, at_s=at_s, quality=quality)
    return Trial(
        number=number,
        features=features,
        under=np.asarray(observation["lit"], dtype=np.int64),
        prior=np.asarray(observation["prior"], dtype=np.float64),
        decided=ABSTAINED,
        at_s=at_s,
        quality=quality,
    )


def reward_of(score: Score, channel: ErrorChannelConfig) -> Reward:
    """A score of the error channel as a reward.

    Parameters
    ----------
    score : tuple
        Number of the trial, score, and when it came.
    channel : ErrorChannelConfig
        What is known of the detector: its balanced accuracy.

    Returns
    -------
    reward : Reward
        Log odds and unbiased value, as a fresh, attending person would give them.
    """
    number, strength, at_s = score
    return Reward(
        trial=number,
        log_odds=channel.log_odds(strength),
        value=channel.value(strength),
        at_s=at_s,
        source="error potential",
    )


def play(
    env: Environment,
    make: Callable[[PrototypeHead], Learner],
    *,
    seed: int,
    options: dict[str, Any] | None = None,
    told: str = ERRORS,
    decide_at: float = 0.0,
) -> Played:
    """Let a learner decide through an episode, and learn from it.

    Parameters
    ----------
    env : gymnasium.Env
        With trials.
    make : callable
        Gives the learner that begins with a head.
    seed : int
        Of the episode; below 100 for what is reported, 100 and more for what is tuned.
    options : dict or None
        Of `reset`.
    told : str
        ``"nothing"``; ``"errors"``, as the environment gives them; ``"shuffled"``, the same with
        scores taken from earlier trials by chance; ``"truth"``, the oracle.
    decide_at : float
        Probability below which it abstains.

    Returns
    -------
    played : Played
        In truth.

    Raises
    ------
    ConfigError
        If `told` is none of these.
    """
    if told not in TOLD:
        raise ConfigError(f"told must be one of {', '.join(TOLD)}; got {told!r}.")
    observation, info = env.reset(seed=seed, options=options)
    world, channel = env.unwrapped, ErrorChannelConfig(**info["errp"])
    learner = make(calibrated(info["calibration"], world.classes))
    messenger = Messenger(told, seed)
    number, done = 0, False
    while not done:
        trial = _decided(observation, number, learner.head, decide_at)
        learner.see(trial)
        action = world.n_options if trial.decided == ABSTAINED else trial.decided
        observation, _, done, _, info = env.step(action)
        rewards = [reward_of(score, channel) for score in info["errors"]]
        for reward in messenger.tell(trial, world.reveal(number), rewards):
            learner.hear(reward)
        number += 1
    return _played(info["score"], learner.head)


def _decided(
    observation: Mapping[str, Any], number: int, head: PrototypeHead, decide_at: float
) -> Trial:
    """The trial with what a head decides of it."""
    trial = trial_of(observation, number, len(head.classes))
    posterior = trial.posterior(head)
    best = int(posterior.argmax())
    return replace(trial, decided=best if posterior[best] >= decide_at else ABSTAINED)


def _fitted(features: Floats, labels: np.ndarray, classes: tuple[str, ...]) -> PrototypeHead:
    """A head of windows."""
    names = np.array(classes)[labels.ravel()]
    return PrototypeHead.fit(features.reshape(-1, features.shape[-1]), names, classes)


def _loss(scores: Floats, labels: np.ndarray) -> float:
    """Log loss of trials whose windows are of one class, else of windows, classes alike."""
    if (labels == labels[:, :1]).all():
        scores, labels = scores.sum(axis=1), labels[:, 0]
    else:
        scores, labels = scores.reshape(-1, scores.shape[-1]), labels.ravel()
    logs = scores - np.logaddexp.reduce(scores, axis=-1, keepdims=True)
    each = logs[np.arange(len(labels)), labels]
    return -float(np.mean([each[labels == one].mean() for one in np.unique(labels)]))


def _played(score: Mapping[str, Any], head: PrototypeHead) -> Played:
    return Played(
        decided=score["decided"],
        meant=score["meant"],
        attended=score["attended"],
        utility=score["utility"],
        head=head,
    )
