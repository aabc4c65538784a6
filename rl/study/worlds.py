"""Where arms are compared: a person who asks for things, one after another, real or simulated.

A world gives trials, takes decisions, and tells late and noisily what the person thought of them.
What was really meant is for scoring, and for the arm that shows how far one could get.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ...runtime.prototype_head import PrototypeHead
from ..envs.bridge import Environment, calibrated, reward_of, trial_of
from ..envs.error_channel import ErrorChannel, ErrorChannelConfig
from ..trial import ABSTAINED, Reward, Trial
from .recorded import RecordedCase


class World(Protocol):
    """One person and one course of sessions. The same seed gives the same course."""

    @property
    def head(self) -> PrototypeHead:
        """As calibrated."""

    def show(self) -> Trial | None:
        """The next trial, not decided; None at the end."""

    def take(self, option: int) -> Told:
        """Show the person a decision about it, and hear what is known by now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What came of a decision.

    Parameters
    ----------
    meant : int
        The option that was meant: for scores and for the oracle alone.
    session : int
        Place of the session that the trial is of.
    rewards : tuple of Reward
        What became known by now, mostly of earlier trials.
    """

    meant: int
    session: int
    rewards: tuple[Reward, ...]


Make = Callable[[], World]
"""Makes a world anew: every arm lives through the same one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A world that can be made again and again.

    Parameters
    ----------
    person : str
        Whose; places of one person are not independent.
    group : str
        What it belongs to: a kind of recording, or a drift.
    name : str
        What it is.
    make : callable
        Makes it anew.
    """

    person: str
    group: str
    name: str
    make: Make


class RecordedWorld:
    """A real recording whose labels are told only as error potentials that are drawn.

    Parameters
    ----------
    case : RecordedCase
        The recording.
    channel : ErrorChannelConfig
        How good the detector of errors is.
    seed : int
        Of what it says.
    trial_s : float
        From one trial to the next.
    """

    def __init__(
        self, case: RecordedCase, channel: ErrorChannelConfig, *, seed: int, trial_s: float = 8.0
    ) -> None:
        self.head = case.head
        self._asked = [
            (session, one) for session, trials in enumerate(case.sessions) for one in trials
        ]
        self._config = channel
        self._channel = ErrorChannel(channel, n_trials=len(self._asked))
        self._rng = np.random.default_rng(seed)
        self._trial_s = trial_s
        self._number = -1

    def show(self) -> Trial | None:
        """The next one recorded."""
        self._number += 1
        if self._number == len(self._asked):
            return None
        return self._asked[self._number][1].shown(self._number, self._now_s)

    def take(self, option: int) -> Told:
        """What the person would have thought of it."""
        session, one = self._asked[self._number]
        if option != ABSTAINED:
            self._channel.sees(self._number, option == one.meant, True, self._now_s, self._rng)
        scores = self._channel.arrived(self._number)
        rewards = tuple(reward_of(score, self._config) for score in scores)
        return Told(meant=one.meant, session=session, rewards=rewards)

    @property
    def _now_s(self) -> float:
        return self._number * self._trial_s


class SimulatedWorld:
    """An episode of one of the environments.

    Parameters
    ----------
    env : gymnasium.Env
        With trials.
    seed : int
        Of the episode.
    options : mapping
        Of its `reset`: drift, user, detector of errors.
    """

    def __init__(self, env: Environment, *, seed: int, options: Mapping[str, Any]) -> None:
        self._env = env
        self._observation, info = env.reset(seed=seed, options=dict(options))
        self._channel = ErrorChannelConfig(**info["errp"])
        self.head = calibrated(info["calibration"], env.unwrapped.classes)
        self._number, self._done = -1, False

    def show(self) -> Trial | None:
        """What the person does next."""
        if self._done:
            return None
        self._number += 1
        return trial_of(self._observation, self._number, len(self.head.classes))

    def take(self, option: int) -> Told:
        """The person reacts to it, as simulated."""
        world = self._env.unwrapped
        action = world.n_options if option == ABSTAINED else option
        self._observation, _, self._done, _, info = self._env.step(action)
        rewards = tuple(reward_of(score, self._channel) for score in info["errors"])
        return Told(meant=world.reveal(self._number), session=0, rewards=rewards)
