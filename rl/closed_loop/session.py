"""A decoder, a learner and an environment together: calibration first, then steering."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from .intentions import IntentionConfig, intended
from .steering import PathKeeper, Step, VelocityLearner
from .velocity_head import VelocityHead

Floats = NDArray[np.float64]
Environment = gymnasium.Env[dict[str, NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What came of an episode.

    Parameters
    ----------
    acquired : ndarray of bool, shape (n_targets,)
        Which targets.
    took_s : ndarray, shape (n_targets,)
        How long each took; a target given up counts with all its time.
    score : dict
        Of the environment, at the end.
    """

    acquired: NDArray[np.bool_]
    took_s: Floats
    score: dict[str, float]


class Robot:
    """Moves the cursor to the target by itself while the person tries along: open loop.

    Parameters
    ----------
    speed : float
        Half widths a second, far from the target.
    slow_within : float
        Half widths.
    """

    def __init__(self, speed: float = 0.5, slow_within: float = 0.35) -> None:
        self._speed, self._within = speed, slow_within

    def velocity(self, position: Floats, target: Floats) -> Floats:
        """Towards the target, slower near it."""
        towards = target - position
        distance = max(float(np.linalg.norm(towards)), 1e-9)
        velocity: Floats = towards * (self._speed * min(1.0, distance / self._within) / distance)
        return velocity


def calibrate(
    env: Environment,
    *,
    seed: int,
    targets: int = 32,
    gain: float = 0.8,
    smoothing: float = 0.8,
    drift: object = None,
) -> VelocityHead:
    """A decoder from a block in which the cursor moved by itself.

    Parameters
    ----------
    env : gymnasium.Env
        ``diverloop/Cursor-v0`` with the target shown.
    seed : int
        Of the person, whose session 1 this is.
    targets : int
        Length of the block.
    gain, smoothing : float
        Of the decoder; see `VelocityHead`.
    drift : object
        Setting of the environment that holds meanwhile; None for no drift.

    Returns
    -------
    head : VelocityHead
        Fitted.
    """
    drift = drift or type(env.unwrapped.config.drift)()  # type: ignore[attr-defined]
    observation, _ = env.reset(
        seed=seed, options={"n_targets": targets, "drift": drift, "session": 1}
    )
    robot, keeper, rule = Robot(), PathKeeper(), IntentionConfig()
    top, step_s = _units(env)
    pairs, done = [], False
    while not done:
        seen = _wide(observation)
        velocity = robot.velocity(seen["position"], seen["target"])
        observation, _, done, _, info = env.step((velocity / top).astype(np.float32))
        ended = info["ended"]["acquired"] if "ended" in info else None
        path = keeper.add(_step(seen, velocity, step_s, info, ended))
        if path is not None and (pair := intended(path, gain, rule)) is not None:
            pairs.append(pair)
    features, intentions = (np.concatenate(part) for part in zip(*pairs, strict=True))
    return VelocityHead.fit(features, intentions, gain=gain, smoothing=smoothing)


def steer(
    env: Environment, learner: VelocityLearner, *, seed: int, options: dict[str, Any] | None = None
) -> Session:
    """An episode in which a learner's decoder moves the cursor.

    Parameters
    ----------
    env : gymnasium.Env
        ``diverloop/Cursor-v0``. What the learner is told of targets is what the environment shows.
    learner : VelocityLearner
        Told every step.
    seed : int
        Of the person.
    options : dict or None
        For `reset`.

    Returns
    -------
    session : Session
        What came of it.
    """
    observation, _ = env.reset(seed=seed, options=options)
    top, step_s = _units(env)
    outcomes, velocity, done = [], np.zeros(2), False
    info: dict[str, Any] = {}
    while not done:
        seen = _wide(observation)
        velocity = learner.head.velocity(seen["features"], velocity)
        observation, _, done, _, info = env.step((velocity / top).astype(np.float32))
        ended = None
        if "ended" in info:
            ended = info["ended"]["acquired"]
            outcomes.append((ended, info["ended"]["took_s"]))
        learner.watch(_step(seen, velocity, step_s, info, ended))
    return Session(
        acquired=np.array([acquired for acquired, _ in outcomes]),
        took_s=np.array([took_s for _, took_s in outcomes]),
        score=info["score"],
    )


def _units(env: Environment) -> tuple[float, float]:
    config = env.unwrapped.config  # type: ignore[attr-defined]
    return float(config.max_speed), float(config.step_s)


def _wide(observation: dict[str, NDArray[np.float32]]) -> dict[str, Floats]:
    return {name: value.astype(np.float64) for name, value in observation.items()}


def _step(
    seen: dict[str, Floats],
    velocity: Floats,
    step_s: float,
    info: dict[str, Any],
    ended: bool | None,
) -> Step:
    return Step(
        features=seen["features"],
        position=seen["position"],
        velocity=velocity,
        seconds=step_s,
        target=seen.get("target"),
        error_log_odds=tuple(odds for _, odds in info["errors"]),
        ended=ended,
    )
