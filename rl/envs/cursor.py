"""``diverloop/Cursor-v0``: a simulated person steers a cursor to targets that the decoder ignores.

An agent is a decoder: every step it gets the features of the last 50 ms and answers with a
velocity. An episode is a session of many targets. The features follow the intention of the hidden
person (``controller.py``), and what they mean drifts (``tuning.py``). The target is not in the
observation, unless ``target_shown`` says that this is a block in which the program set it.

The usual person acquires a target in about the time that people with intracortical arrays need for
one of a grid of 36: 2.2 and 1.4 bit/s [1]_ are 2.3 and 3.7 s for each of ``log2(35)`` bits.

References
----------
.. [1] Pandarinath et al. High performance communication by people with paralysis using an
   intracortical brain-computer interface. eLife, 2017. The size of the grid is our assumption.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import ConfigError
from ..ranges import changed
from .controller import Controller, ControllerConfig
from .cursor_score import CursorScore
from .person import Person, PersonConfig
from .tuning import Tuning, TuningDriftConfig
from .wayward import Wayward, WaywardConfig

Floats = NDArray[np.float64]
Observation = dict[str, NDArray[np.float32]]

FEATURE_LIMIT = 20.0
"""Features are clipped here, in standard deviations of their noise, as an amplifier would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorConfig:
    """The task, the person and what goes wrong. Lengths are in half widths of the workspace.

    Parameters
    ----------
    n_features : int
        Of each step.
    step_s : float
        Length of a step, 0.02 to 0.05.
    n_targets : int
        Trials of an episode.
    radius : float
        Of a target.
    dwell_s : float
        Time that the cursor must stay within.
    limit_s : float
        Time after which a target is given up.
    max_speed : float
        Velocity, in half widths a second, that an action of 1 means.
    added_delay_s : float
        Between an action and the cursor's movement.
    target_shown : bool
        Whether the observation tells the target, as in a block for calibration.
    precision : float
        How well features tell the intention; see `Tuning.draw`.
    shared_noise : float
        Variance of the noise that features share, of 1 in all.
    lapse_s : float
        Time at the beginning of a trial that a lapse takes.
    drift : TuningDriftConfig
        Of the tuning.
    controller : ControllerConfig
        How the person steers.
    person : PersonConfig or None
        Lapses, practice, fatigue, frustration; None draws somebody by the seed.
    errors : WaywardConfig
        The error signal.
    session : int
        Which session of the same person: other targets and other noise.
    """

    n_features: int = 32
    step_s: float = 0.05
    n_targets: int = 40
    radius: float = 0.15
    dwell_s: float = 0.5
    limit_s: float = 10.0
    max_speed: float = 2.0
    added_delay_s: float = 0.0
    target_shown: bool = False
    precision: float = 2.0
    shared_noise: float = 0.1
    lapse_s: float = 1.0
    drift: TuningDriftConfig = field(default_factory=TuningDriftConfig)
    controller: ControllerConfig = field(default_factory=ControllerConfig)
    person: PersonConfig | None = None
    errors: WaywardConfig = field(default_factory=WaywardConfig)
    session: int = 0

    def __post_init__(self) -> None:
        if self.n_features < 2 or self.n_targets < 1 or self.session < 0:
            raise ConfigError(
                f"A cursor task needs at least 2 features, 1 target and a session from 0, got "
                f"{self.n_features}, {self.n_targets} and {self.session}: ask for more."
            )
        if not 0.01 <= self.step_s <= 0.1:
            raise ConfigError(
                f"step_s of a cursor task must be 0.01 to 0.1 s, got {self.step_s}: 0.05 is usual."
            )
        if not 0 < self.radius < 0.5:
            raise ConfigError(
                f"The radius of a target must be between 0 and 0.5 half widths, got {self.radius}: "
                f"0.15 is usual."
            )
        if not 0 <= self.shared_noise < 1:
            raise ConfigError(
                f"shared_noise must be at least 0 and below 1, got {self.shared_noise}: 0.1 is "
                f"usual."
            )
        for name in ("dwell_s", "limit_s", "max_speed", "precision"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(
                    f"{name} of a cursor task must be positive, got {getattr(self, name)}: give a "
                    f"positive number."
                )
        for name in ("added_delay_s", "lapse_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(
                    f"{name} of a cursor task must not be negative, got {getattr(self, name)}: "
                    f"give 0 or more."
                )


class CursorEnv(gymnasium.Env[Observation, NDArray[np.float32]]):
    """The environment.

    Observation: ``features`` of the last step, ``position`` (half widths) and ``velocity`` (as
    shares of ``max_speed``) of the cursor, and with ``target_shown`` the ``target``. Action:
    velocity as a share of ``max_speed``. Utility reward: 1 for a target acquired, and -0.01 for
    each second.

    ``info`` of every step holds ``errors``, a list of (trial, log odds of an error) that arrived in
    this step. In the step that ends a trial it holds ``ended``: the number of the trial, whether
    the target was acquired, and the time it took; a program that shows targets and sees
    them selected knows that much. At the end of the episode it holds ``score``.

    Parameters
    ----------
    config : CursorConfig or None
        All of it; None for the usual.
    **settings : Any
        Fields of `CursorConfig` to replace, so that ``gymnasium.make`` takes them by name.

    Notes
    -----
    `reset` takes ``options`` with the same names; they last until the next `reset` with options.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own convention
    Config = CursorConfig
    _position: Floats
    _velocity: Floats
    _target: Floats
    _intention: Floats
    _score: CursorScore
    _elapsed: int
    _inside: int
    _trial: int
    _on_its_way: deque[Floats]
    _session_s: float

    def __init__(self, config: CursorConfig | None = None, **settings: Any) -> None:
        self.config = changed(config or CursorConfig(), settings, "A cursor task")
        self._given = self.config
        places = {"position": 1.0, "velocity": 1.0}
        if self.config.target_shown:
            places["target"] = 1.0
        boxes: dict[str, gymnasium.Space[Any]] = {
            name: gymnasium.spaces.Box(-limit, limit, (2,), np.float32)
            for name, limit in places.items()
        }
        boxes["features"] = gymnasium.spaces.Box(
            -FEATURE_LIMIT, FEATURE_LIMIT, (self.config.n_features,), np.float32
        )
        self.observation_space: gymnasium.Space[Any] = gymnasium.spaces.Dict(boxes)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """A person and a session, drawn by the seed.

        Parameters
        ----------
        seed : int or None
            Of everything that is drawn; None goes on from before.
        options : dict or None
            Fields of `CursorConfig` to replace. ``n_features`` and ``target_shown`` shape the
            observation and cannot be changed here.

        Returns
        -------
        observation, info : dict
            Of the first step.

        Raises
        ------
        ConfigError
            If an option is unknown or does not fit.
        """
        super().reset(seed=seed)
        self.config = changed(self._given, options or {}, "A cursor task")
        for name in ("n_features", "target_shown"):
            if getattr(self.config, name) != getattr(self._given, name):
                raise ConfigError(
                    f"{name} shapes the observation and cannot be changed by reset: make another "
                    f"environment."
                )
        # One stream each: another task or another drift leaves the person as it was.
        who, how, draws, self._struck = (int(n) for n in self.np_random.integers(2**31, size=4))
        rng = np.random.default_rng(who)
        self._person = Person(self.config.person or PersonConfig.sampled(rng))
        self._tuning = self._now = Tuning.draw(
            self.config.n_features, self.config.precision, self.config.shared_noise, rng
        )
        self._controller = Controller(
            self.config.controller, step_s=self.config.step_s, rng=self._stream(how)
        )
        self._rng = self._stream(draws)
        self._wayward = Wayward(self.config.errors, self._stream(how + 1))
        self._begin()
        return self._observe(), {"errors": []}

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Move the cursor for one step.

        Parameters
        ----------
        action : ndarray, shape (2,)
            Velocity as a share of ``max_speed``; NaN counts as standing still, and what is too
            fast is clipped.

        Returns
        -------
        observation : dict
            After it.
        reward : float
            Utility.
        terminated : bool
            Whether this was the last target.
        truncated : bool
            False.
        info : dict
            See the class.
        """
        self._move(np.asarray(action, dtype=np.float64))
        distance = math.hypot(*(self._target - self._position))
        self._score.moved(self._position, self._velocity, self._target)
        self._elapsed += 1
        self._session_s += self.config.step_s
        self._inside = self._inside + 1 if distance <= self.config.radius else 0
        self._wayward.watch(self._trial, distance, self._looking, self._session_s)
        info: dict[str, Any] = {"errors": self._wayward.arrived(self._session_s)}
        acquired = self._inside * self.config.step_s >= self.config.dwell_s - 1e-9
        reward = float(acquired) - 0.01 * self.config.step_s
        done = False
        if acquired or self._elapsed * self.config.step_s >= self.config.limit_s - 1e-9:
            info["ended"] = self._end(acquired)
            done = self._trial == self.config.n_targets
            if done:
                info["score"] = self._score.summary()
            else:
                self._next_target()
        return self._observe(), reward, done, False, info

    @property
    def hidden(self) -> dict[str, Any]:
        """What no agent may see, for tests and figures: target, intention and aim of the person."""
        return {
            "target": self._target.copy(),
            "intention": self._intention.copy(),
            "aim": self._controller.aim,
            "modulation": self._person.modulation,
        }

    def _stream(self, number: int) -> np.random.Generator:
        return np.random.default_rng([number, self.config.session])

    def _begin(self) -> None:
        self._position, self._velocity = np.zeros(2), np.zeros(2)
        self._intention = np.zeros(2)
        late = round(self.config.added_delay_s / self.config.step_s)
        self._on_its_way = deque([np.zeros(2)] * late)
        self._trial, self._session_s = 0, 0.0
        self._score = CursorScore(radius=self.config.radius, step_s=self.config.step_s)
        self._target = np.zeros(2)
        self._next_target()

    def _next_target(self) -> None:
        """Somewhere that is not near; the cursor stays where it is."""
        before = self._target
        while True:
            self._target = self._rng.uniform(-0.8, 0.8, 2)
            if math.hypot(*(self._target - before)) >= 0.6:
                break
        self._elapsed, self._inside = 0, 0
        self._now = self._tuning.drifted(self.config.drift, self._trial, self._struck)
        self._attended = self._person.attends(self._rng)
        self._wayward.new_target()

    @property
    def _looking(self) -> bool:
        return self._attended or self._elapsed * self.config.step_s >= self.config.lapse_s

    def _move(self, action: Floats) -> None:
        if not np.isfinite(action).all():
            action = np.zeros(2)
        self._on_its_way.append(_within(action, 1.0) * self.config.max_speed)
        velocity = self._on_its_way.popleft()
        place = _within(self._position + self.config.step_s * velocity, 1.0)
        # At the edge the cursor stands, and that is what the person sees.
        self._velocity = (place - self._position) / self.config.step_s
        self._position = place

    def _end(self, acquired: bool) -> dict[str, Any]:
        took_s = self._elapsed * self.config.step_s
        self._score.ended(acquired, took_s)
        self._person.feedback(acquired)
        self._person.advance(took_s)
        ended = {"trial": self._trial, "acquired": acquired, "took_s": took_s}
        self._trial += 1
        return ended

    def _observe(self) -> Observation:
        intention = self._controller.intend(self._position, self._velocity, self._target)
        self._intention = intention if self._looking else np.zeros(2)
        features = self._now.features(self._person.modulation * self._intention, self._rng)
        told = {
            "features": _within(features, FEATURE_LIMIT),
            "position": self._position,
            "velocity": _within(self._velocity / self.config.max_speed, 1.0),
        }
        if self.config.target_shown:
            told["target"] = self._target
        return {name: value.astype(np.float32) for name, value in told.items()}


def _within(values: Floats, limit: float) -> Floats:
    # Two calls of a ufunc cost a third of np.clip, and this runs four times a step.
    clipped: Floats = np.minimum(np.maximum(values, -limit), limit)
    return clipped
