"""What environments with one decision a step share: time, feedback, utility, errors, the score.

The right answer is in no observation and in no info before the episode is over. What a decoder may
know of it comes through the error channel, as ``info["errors"]``.

References
----------
- Towers, Kwiatkowski, Terry et al. Gymnasium: a standard interface for reinforcement learning
  environments. arXiv:2407.17032, 2024.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium
import numpy as np

from ...runtime.errors import ConfigError
from ..trial import ABSTAINED
from .error_channel import ErrorChannel, error_channel_of

Observation = dict[str, Any]

UTILITY, OBSERVED = "utility", "observed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialsConfig:
    """What an episode is, and what decisions are worth.

    Parameters
    ----------
    n_trials : int
        Decisions in an episode.
    trial_s, pause_s : float
        How long a trial takes, and what lies between two of them, in seconds.
    hit, wrong, abstain, per_s : float
        Utility of a right, a wrong and no decision, and of each second of a trial.
    reward : str
        ``"utility"`` for the true utility, with which decisions are scored; ``"observed"`` for
        what a decoder can estimate of it from the error channel, from which it may learn.

    Raises
    ------
    ConfigError
        If a value is outside its bounds.
    """

    n_trials: int = 200
    trial_s: float = 4.0
    pause_s: float = 1.5
    hit: float = 1.0
    wrong: float = -1.0
    abstain: float = -0.1
    per_s: float = -0.01
    reward: str = UTILITY

    def __post_init__(self) -> None:
        bounds = {
            "n_trials": (2, 100_000), "trial_s": (0.05, 600), "pause_s": (0, 600), "hit": (-10, 10),
            "wrong": (-10, 10), "abstain": (-10, 10), "per_s": (-10, 10),
        }  # fmt: skip
        for name, (low, high) in bounds.items():
            if not low <= (value := getattr(self, name)) <= high:
                raise ConfigError(f"{name} must be in [{low}, {high}], got {value}.")
        if self.reward not in (UTILITY, OBSERVED):
            raise ConfigError(f"reward must be {UTILITY!r} or {OBSERVED!r}, got {self.reward!r}.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """A trial before its decision.

    Parameters
    ----------
    observation : dict
        What the decoder sees of it, less what all environments add.
    meant : int
        What the person wants.
    attended : bool
        Whether they were doing it.
    """

    observation: Observation
    meant: int
    attended: bool


class TrialEnvironment(gymnasium.Env[Observation, int]):
    """One step is one trial: what is decided about the last observation, and the next one.

    Parameters
    ----------
    n_options : int
        What can be decided; the action after the last of them abstains.
    seen : dict of str to gymnasium.spaces.Space
        What the environment shows of a trial, beside quality, time and what was decided last.
    config : TrialsConfig
        Of the episode.
    """

    # gymnasium declares an instance's own, and looks the class's up.
    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}  # type: ignore[misc]

    def __init__(
        self, n_options: int, seen: Mapping[str, gymnasium.Space[Any]], config: TrialsConfig
    ) -> None:
        self.trials = config
        self.n_options = n_options
        spaces = gymnasium.spaces
        self.action_space: Any = spaces.Discrete(n_options + 1)
        self.observation_space: Any = spaces.Dict(
            {
                **seen,
                "quality": spaces.Box(0.0, 1.0, (1,), np.float64),
                "time_s": spaces.Box(0.0, 1e9, (1,), np.float64),
                "last": spaces.Discrete(n_options + 2),
            }
        )

    @abstractmethod
    def _begin(self, options: dict[str, Any]) -> dict[str, Any]:
        """Prepare an episode, take from `options` what is understood, and say what is known."""

    @abstractmethod
    def _ask(self, number: int) -> Asked:
        """The next trial."""

    def _shown(self, asked: Asked, decided: int) -> None:
        """The person sees what was decided."""

    def _passes(self, s: float) -> None:
        """Time passes."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode.

        Parameters
        ----------
        seed : int or None
            Of everything that is drawn.
        options : dict or None
            ``errp`` for the error channel (see `error_channel_of`), and what the environment adds.

        Returns
        -------
        observation : dict
            The first trial.
        info : dict
            ``calibration`` (``features`` and ``labels``, recorded with cues before the episode),
            ``errp`` (how good its detector was there) and ``errors`` (none yet).

        Raises
        ------
        ConfigError
            If an option is unknown, or its value cannot be used.
        """
        super().reset(seed=seed)
        left = dict(options or {})
        channel = error_channel_of(left.pop("errp", None))
        self._errors = ErrorChannel(channel, self.trials.n_trials)
        known = self._begin(left)
        if left:
            raise ConfigError(
                f"{type(self).__name__} has no option {next(iter(left))!r}; see its documentation."
            )
        self._number, self._now_s, self._last = 0, 0.0, self.n_options + 1
        self._meant: list[int] = []
        self._attended: list[bool] = []
        self._decided: list[int] = []
        self._utility = 0.0
        observation = self._next()
        errp = {"balanced_accuracy": channel.balanced_accuracy}
        return observation, {"calibration": known, "errp": errp, "errors": []}

    def step(self, action: int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Decide about the trial that was shown, and get the next one.

        Parameters
        ----------
        action : int
            An option, or the number of options to abstain.

        Returns
        -------
        observation : dict
            The next trial; zeros after the last.
        reward : float
            See `TrialsConfig`.
        terminated : bool
            Whether that was the last trial.
        truncated : bool
            Never.
        info : dict
            ``errors``: scores that arrived since the last step, each the number of its trial,
            the score (0 is the threshold, more means error) and when it came in seconds. After the
            last trial also ``score``.

        Raises
        ------
        ConfigError
            If there is no such action.
        """
        if not self.action_space.contains(action):
            raise ConfigError(
                f"An action is a number from 0 to {self.n_options}, which abstains; got {action!r}."
            )
        decided = ABSTAINED if action == self.n_options else int(action)
        self._meant.append(self._asked.meant)
        self._attended.append(self._asked.attended)
        self._decided.append(decided)
        self._last = int(action)
        self._feed_back(decided)
        errors = self._errors.arrived(self._number)
        reward = self._worth(decided, errors)
        self._number += 1
        info: dict[str, Any] = {"errors": errors}
        done = self._number == self.trials.n_trials
        if done:
            info["score"] = self._score()
            return self._nothing(), reward, True, False, info
        return self._next(), reward, False, False, info

    def reveal(self, number: int) -> int:
        """What was meant in a trial that is decided: for scorers and oracles, not for decoders.

        Parameters
        ----------
        number : int
            Of the trial, from 0.

        Returns
        -------
        meant : int
            The option.

        Raises
        ------
        ConfigError
            If it is not decided yet.
        """
        if not 0 <= number < len(self._meant):
            raise ConfigError(
                f"Trial {number} is not decided: decided are {len(self._meant)}, counted from 0."
            )
        return self._meant[number]

    def _feed_back(self, decided: int) -> None:
        """Show the decision; what the brain makes of it is under way."""
        asked = self._asked
        if decided != ABSTAINED:
            right = decided == asked.meant
            self._errors.sees(self._number, right, asked.attended, self._now_s, self.np_random)
        self._shown(asked, decided)
        self._now_s += self.trials.pause_s
        self._passes(self.trials.pause_s)

    def _worth(self, decided: int, errors: list[tuple[int, float, float]]) -> float:
        """Reward of a step."""
        trials, channel = self.trials, self._errors.config
        cost = trials.per_s * trials.trial_s
        gained = trials.abstain if decided == ABSTAINED else trials.wrong
        if decided == self._meant[-1]:
            gained = trials.hit
        self._utility += gained + cost
        if trials.reward == UTILITY:
            return gained + cost
        values = [channel.value(score) for _, score, _ in errors]
        heard = sum(trials.wrong + (trials.hit - trials.wrong) * value for value in values)
        return heard + cost + (trials.abstain if decided == ABSTAINED else 0.0)

    def _next(self) -> Observation:
        """Let a trial pass, and show it."""
        self._asked = self._ask(self._number)
        self._now_s += self.trials.trial_s
        self._passes(self.trials.trial_s)
        return {**self._asked.observation, "time_s": np.array([self._now_s]), "last": self._last}

    def _nothing(self) -> Observation:
        """What is shown when there is no trial any more."""
        zero: Observation = {
            name: np.zeros(space.shape, space.dtype)
            for name, space in self.observation_space.spaces.items()
            if name != "last"
        }
        return {**zero, "last": self._last}

    def _score(self) -> dict[str, Any]:
        """How the episode went, in truth."""
        decided, meant = np.array(self._decided), np.array(self._meant)
        right, made = decided == meant, decided != ABSTAINED
        return {
            "accuracy": float(right.mean()),
            "accuracy_of_decided": float(right[made].mean()) if made.any() else 0.0,
            "abstained": float((~made).mean()),
            "utility": self._utility,
            "decided": decided,
            "meant": meant,
            "right": right,
            "attended": np.array(self._attended),
        }
