"""``diverloop/Neurofeedback-v0``: how hard, and how long, for a person who learns meanwhile.

One step is one block of training, followed by a probe without feedback and a pause. The agent
chooses threshold and length of the block within bounds that a clinician set; an episode is a course
of several sessions. What is rewarded is what shows in the probes, not success in training, which
difficulty changes by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import ConfigError
from ..ranges import changed
from .trainee import Trainee, TraineeConfig

Observation = NDArray[np.float32]

TOLD = (
    "success", "mean", "spread", "probe", "fatigue", "threshold", "length", "block", "time_left",
    "session",
)  # fmt: skip
"""What the numbers of the observation are, in their order; see `NeurofeedbackEnv`."""

LIMITS = (1.0, 10.0, 10.0, 10.0, 2.0, 10.0, 1.0, 1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class NeurofeedbackConfig:
    """The course, the clinician's bounds, and the person.

    Parameters
    ----------
    thresholds : tuple of float
        Lowest and highest that a clinician allows, in standard deviations of the resting measure.
    most_change : float
        By which the threshold may change from block to block.
    lengths_s : tuple of int
        Lengths of a block that may be chosen, rising, in seconds.
    sessions : int
        Of an episode.
    session_s : float
        Length of one; a block that begins before the end is finished.
    probe_s : int
        Length of a probe.
    pause_s : float
        After each probe.
    late_s : float
        By how much feedback is later than the shortest possible.
    fatigue_cost : float
        Reward that a minute of training costs if the person is wholly tired.
    trainee : TraineeConfig or None
        None draws somebody by the seed.
    """

    thresholds: tuple[float, float] = (-0.5, 2.5)
    most_change: float = 0.5
    lengths_s: tuple[int, ...] = (60, 120, 180, 240)
    sessions: int = 4
    session_s: float = 1800.0
    probe_s: int = 20
    pause_s: float = 30.0
    late_s: float = 0.0
    fatigue_cost: float = 0.01
    trainee: TraineeConfig | None = None

    def __post_init__(self) -> None:
        if not -5 <= self.thresholds[0] < self.thresholds[1] <= 5 or self.most_change <= 0:
            raise ConfigError(
                f"Thresholds must be (lowest, highest) within -5 to 5, and most_change positive, "
                f"got {self.thresholds} and {self.most_change}: correct them."
            )
        lengths = self.lengths_s
        if not lengths or min(lengths) < 10 or list(lengths) != sorted(set(lengths)):
            raise ConfigError(
                f"lengths_s must be rising lengths of at least 10 s, got {lengths}: correct them."
            )
        if self.sessions < 1 or self.session_s <= 0 or self.probe_s < 1:
            raise ConfigError(
                f"A course needs at least 1 session of positive length and a probe of 1 s or more, "
                f"got {self.sessions}, {self.session_s} and {self.probe_s}: correct them."
            )
        if self.pause_s < 0 or self.late_s < 0 or self.fatigue_cost < 0:
            raise ConfigError(
                f"pause_s, late_s and fatigue_cost must not be negative, got {self.pause_s}, "
                f"{self.late_s} and {self.fatigue_cost}: give 0 or more."
            )


class NeurofeedbackEnv(gymnasium.Env[Observation, dict[str, Any]]):
    """The environment.

    Action: ``difficulty``, 0 for the lowest threshold that is allowed and 1 for the highest, and
    ``length``, an index into the lengths. A threshold that is further from the last than
    ``most_change`` is moved towards it. Observation, all of the last block: success rate, mean and
    spread of the measure, mean of the probe, a noisy index of fatigue, the threshold, the length
    and the number of the block (both as shares of the most), and the shares of the session's time
    and of the sessions that are left. Reward: rise of the probe since the last one, minus the cost
    of fatigue. The rises add up, so noise of single probes does not.

    ``info`` holds ``score`` at the end: ``gain``, the true rise of skill; ``minutes`` of training;
    ``fatigue``, its mean over blocks.

    Parameters
    ----------
    config : NeurofeedbackConfig or None
        None for the usual.
    **settings : Any
        Fields of `NeurofeedbackConfig` to replace.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own convention
    Config = NeurofeedbackConfig

    def __init__(self, config: NeurofeedbackConfig | None = None, **settings: Any) -> None:
        self._given = self.config = changed(
            config or NeurofeedbackConfig(), settings, "A neurofeedback course"
        )
        limits = np.array(LIMITS, dtype=np.float32)
        self.observation_space = gymnasium.spaces.Box(-limits, limits, dtype=np.float32)
        difficulty = gymnasium.spaces.Box(0.0, 1.0, (1,), np.float32)
        n_lengths = gymnasium.spaces.Discrete(len(self.config.lengths_s))
        self.action_space = gymnasium.spaces.Dict({"difficulty": difficulty, "length": n_lengths})

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """A person and the first probe, drawn by the seed.

        Parameters
        ----------
        seed : int or None
            Of everything that is drawn.
        options : dict or None
            Fields of `NeurofeedbackConfig` to replace, but for ``lengths_s``.

        Returns
        -------
        observation : ndarray
            With nothing but the probe in it.
        info : dict
            Empty.

        Raises
        ------
        ConfigError
            If an option is unknown or does not fit.
        """
        super().reset(seed=seed)
        self.config = changed(self._given, options or {}, "A neurofeedback course")
        if len(self.config.lengths_s) != len(self._given.lengths_s):
            raise ConfigError(
                "lengths_s shapes the action and cannot be changed by reset: make another "
                "environment."
            )
        who, draws = (int(n) for n in self.np_random.integers(2**31, size=2))
        rng = np.random.default_rng(who)
        self._trainee = Trainee(self.config.trainee or TraineeConfig.sampled(rng))
        self._rng = np.random.default_rng(draws)
        self._threshold: float | None = None
        self._block = self._session = self._trained_s = 0
        self._clock_s, self._fatigue = 0.0, 0.0
        self._probe = self._trainee.probe(self.config.probe_s, self._rng)
        return self._told(np.zeros(0), 0), {}

    def step(self, action: dict[str, Any]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """One block, one probe, one pause.

        Parameters
        ----------
        action : dict
            ``difficulty`` and ``length``.

        Returns
        -------
        observation : ndarray, shape (10,)
            See `TOLD`.
        reward : float
            Rise of the probe minus the cost of fatigue.
        terminated : bool
            Whether this was the last block of the course.
        truncated : bool
            False.
        info : dict
            With ``score`` at the end.
        """
        config, trainee = self.config, self._trainee
        seconds = config.lengths_s[int(action["length"])]
        self._threshold = self._allowed(float(np.asarray(action["difficulty"]).item()))
        measure = trainee.train(self._threshold, seconds, config.late_s, self._rng)
        tired, before = trainee.fatigue, self._probe
        self._probe = trainee.probe(config.probe_s, self._rng)
        observation = self._told(measure, seconds)
        trainee.rest(config.pause_s)
        self._block += 1
        self._trained_s += seconds
        self._fatigue += tired
        self._clock_s += seconds + config.probe_s + config.pause_s
        done = self._clock_s >= config.session_s and self._next_session()
        reward = self._probe - before - config.fatigue_cost * tired * seconds / 60
        return observation, reward, done, False, {"score": self._score()} if done else {}

    @property
    def hidden(self) -> dict[str, float]:
        """What no agent may see, for tests and figures: skill, fatigue and frustration."""
        trainee = self._trainee
        return {
            "skill": trainee.skill,
            "fatigue": trainee.fatigue,
            "frustration": trainee.frustration,
        }

    def _allowed(self, difficulty: float) -> float:
        low, high = self.config.thresholds
        wanted = low + (high - low) * min(1.0, max(0.0, difficulty))
        if self._threshold is None:
            return wanted
        step = self.config.most_change
        return min(self._threshold + step, max(self._threshold - step, wanted))

    def _next_session(self) -> bool:
        """Whether there is none."""
        self._session += 1
        if self._session == self.config.sessions:
            return True
        self._clock_s = 0.0
        self._trainee.sleep()
        return False

    def _score(self) -> dict[str, float]:
        return {
            "gain": self._trainee.skill - self._trainee.config.skill,
            "minutes": self._trained_s / 60,
            "fatigue": self._fatigue / self._block,
        }

    def _told(self, measure: NDArray[np.float64], seconds: int) -> Observation:
        config = self.config
        threshold = 0.0 if self._threshold is None else self._threshold
        told = (
            float((measure > threshold).mean()) if measure.size else 0.0,
            float(measure.mean()) if measure.size else 0.0,
            float(measure.std()) if measure.size else 0.0,
            self._probe,
            self._trainee.fatigue + 0.1 * float(self._rng.standard_normal()),
            threshold,
            seconds / config.lengths_s[-1],
            min(1.0, self._block / 100),
            max(0.0, 1 - self._clock_s / config.session_s),
            1 - self._session / config.sessions,
        )
        limits = np.array(LIMITS)
        return np.clip(told, -limits, limits).astype(np.float32)
